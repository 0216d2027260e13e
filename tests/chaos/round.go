package chaos

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

const (
	// workTime is allowed to each work besides what the outage excuses. A round with
	// every work at once, on a busy machine and with the race detector, needs much of it.
	workTime = 90 * time.Second
	// answerTime is allowed to the first answer, besides what the outage excuses, to a busy machine.
	answerTime = 15 * time.Second
)

// excuse is how long a fault may keep things waiting.
func excuse(outage time.Duration) time.Duration { return (outage + 5*time.Second) * 12 / 10 }

// Round has works at work, all at once, while a fault happens, and returns how each fared.
// After a failure the rig gets a new mount.
func (r *Rig) Round(fault Fault, works []Work, seed uint64, least, most time.Duration) []Result {
	rng := rand.New(rand.NewPCG(seed, 0))
	outage := least + time.Duration(rng.Int64N(int64(most-least)+1))
	moment := 50*time.Millisecond + time.Duration(rng.Int64N(int64(time.Second)))
	results := make([]Result, len(works))
	for i, w := range works {
		results[i] = Result{Fault: fault.Name, Work: w.Name, Seed: seed, Outage: outage}
	}
	if err := r.round(fault, works, results, moment, outage); err != nil {
		for i := range results {
			results[i].Err = errors.Join(results[i].Err, err)
		}
	}
	for _, res := range results {
		if res.Err != nil {
			r.kill()
			break
		}
	}
	return results
}

// round fills the results. Its own error is about all of them.
func (r *Rig) round(fault Fault, works []Work, results []Result, moment, outage time.Duration) error {
	if r.cmd == nil || r.inputs >= inputSets {
		if err := r.unmount(); err != nil {
			return err
		}
		if err := r.mount(); err != nil {
			return err
		}
	}
	input := fmt.Sprint("in/", r.inputs)
	r.inputs++
	r.rounds++
	top := fmt.Sprintf("round%d", r.rounds)
	limit := excuse(outage) + workTime
	if err := r.bounded(limit, func() error { return os.Mkdir(filepath.Join(r.mnt, top), 0o755) }); err != nil {
		return fmt.Errorf("before the fault: %w", err)
	}

	var workers []*worker
	defer func() {
		for _, w := range workers {
			w.over.Close()
			w.stop()
		}
	}()
	var settle []string
	if r.cfg.Async {
		settle = []string{"env", "XDG_RUNTIME_DIR=" + r.runDir(), r.cfg.Command[0], "sync", r.mnt}
	}
	for i, w := range works {
		sub := filepath.Join(top, w.Name)
		started, err := start(order{Work: w.Name, Seed: results[i].Seed, Mnt: filepath.Join(r.mnt, sub), Srv: filepath.Join(r.data, sub),
			In: filepath.Join(r.mnt, input), Repo: r.repo(), Settle: settle})
		if err != nil {
			return fmt.Errorf("starting a worker: %w", err)
		}
		workers = append(workers, started)
	}
	r.sleep(moment)
	struck := time.Now()
	if err := fault.strike(r, outage); err != nil {
		return fmt.Errorf("the fault itself did not work: %w", err)
	}
	for _, w := range workers {
		w.over.Close()
	}
	// What was never asked before cannot be answered without the server.
	if err := r.bounded(limit, func() error { return os.Mkdir(filepath.Join(r.mnt, top, "asked"), 0o755) }); err != nil {
		return fmt.Errorf("asking for the first time after the fault: %w", err)
	}
	answered := time.Since(struck)
	late := time.After(time.Until(struck.Add(limit)))
	for i, w := range workers {
		results[i].Answered = answered
		select {
		case <-w.ended:
			results[i].Took, results[i].Err = w.at.Sub(struck), w.err
			continue
		case <-late:
		}
		report := r.diagnose()
		r.kill()
		for k := i; k < len(workers); k++ {
			select {
			case <-workers[k].ended:
				results[k].Err = fmt.Errorf("ended only when the mount was broken up: %w", workers[k].err)
			case <-time.After(5 * time.Second):
				results[k].Err = errors.New("did not even end when the mount was broken up")
			}
			results[k].Took = time.Since(struck)
		}
		return fmt.Errorf("not done within %v of the fault\n%s", limit, report)
	}
	if most := excuse(outage) + answerTime; answered > most {
		return fmt.Errorf("the first answer came %v after the fault, and not within %v: %s", answered, most, r.tail())
	}
	select {
	case <-r.ended:
		r.cmd = nil
		return fmt.Errorf("the mount's process has ended: %s", r.tail())
	default:
	}
	if err := r.blemish(); err != nil {
		return err
	}
	for _, res := range results {
		if res.Err != nil {
			return nil
		}
	}
	if err := r.bounded(limit, func() error { return os.RemoveAll(filepath.Join(r.mnt, top)) }); err != nil {
		return fmt.Errorf("removing what was made, after the fault: %w", err)
	}
	return nil
}
