package control

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// figures are what a status tells in numbers, each read anew when it is asked for.
var figures = []struct {
	name, help string
	kind       prometheus.ValueType
	value      func(Status) float64
}{
	{"connected", "1 while the server is connected.", prometheus.GaugeValue, func(s Status) float64 { return oneIf(s.State == Connected) }},
	{"reconnects_total", "Connections made after the first.", prometheus.CounterValue, func(s Status) float64 { return float64(s.Reconnects) }},
	{"connections", "Connections that are open.", prometheus.GaugeValue, func(s Status) float64 { return float64(s.Line.Connections) }},
	{"channels", "Channels that are open.", prometheus.GaugeValue, func(s Status) float64 { return float64(s.Line.Channels) }},
	{"rtt_seconds", "Smallest round-trip time of late.", prometheus.GaugeValue, func(s Status) float64 { return s.Line.RTT }},
	{"read_bytes_total", "Bytes of files read from the server.", prometheus.CounterValue, func(s Status) float64 { return float64(s.Line.BytesRead) }},
	{"written_bytes_total", "Bytes of files written to the server.", prometheus.CounterValue, func(s Status) float64 { return float64(s.Line.BytesWritten) }},
	{"requests_total", "Requests sent to the server.", prometheus.CounterValue, func(s Status) float64 { return float64(s.Line.Requests) }},
	{"requests_in_flight", "Requests that are not answered yet.", prometheus.GaugeValue, func(s Status) float64 { return float64(s.Line.InFlight) }},
	{"oldest_request_seconds", "Age of the oldest request that is not answered yet.", prometheus.GaugeValue, func(s Status) float64 { return s.Line.Oldest }},
	{"requests_waiting", "Requests that wait for a connection.", prometheus.GaugeValue, func(s Status) float64 { return float64(s.Line.Waiting) }},
	{"unsaved_bytes", "Bytes that the server has not acknowledged.", prometheus.GaugeValue, func(s Status) float64 { return float64(s.Unsaved.Bytes) }},
	{"unsaved_operations", "Operations on names that the server has not acknowledged.", prometheus.GaugeValue, func(s Status) float64 { return float64(s.Unsaved.Operations) }},
	{"errors", "Errors since the last sync, whether or not a program was told.", prometheus.GaugeValue, func(s Status) float64 { return float64(len(s.Errors)) }},
	{"rescued_files", "Files with bytes that could not be delivered.", prometheus.GaugeValue, func(s Status) float64 { return float64(len(s.Rescued)) }},
	{"cached_names", "Names that are known here.", prometheus.GaugeValue, func(s Status) float64 { return float64(s.Cache.Names) }},
	{"cached_bytes", "Bytes of files that are kept here.", prometheus.GaugeValue, func(s Status) float64 { return float64(s.Cache.CleanBytes) }},
	{"open_files", "Files that programs have open.", prometheus.GaugeValue, func(s Status) float64 { return float64(s.Cache.OpenFiles) }},
	{"prefetch_hits_total", "Opens that found their file fetched ahead.", prometheus.CounterValue, func(s Status) float64 { return float64(s.Cache.PrefetchHits) }},
	{"prefetch_misses_total", "Files fetched ahead and not used.", prometheus.CounterValue, func(s Status) float64 { return float64(s.Cache.PrefetchMiss) }},
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// collector gives the figures of a mount to Prometheus.
type collector struct {
	status func() Status
	descs  []*prometheus.Desc
}

func registry(status func() Status) *prometheus.Registry {
	c := collector{status: status}
	for _, f := range figures {
		c.descs = append(c.descs, prometheus.NewDesc("sshmount_"+f.name, f.help, []string{"mountpoint"}, nil))
	}
	r := prometheus.NewRegistry()
	r.MustRegister(c, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	s := c.status()
	for i, f := range figures {
		ch <- prometheus.MustNewConstMetric(c.descs[i], f.kind, f.value(s), s.Mountpoint)
	}
}
