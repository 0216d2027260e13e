package sftptest

import (
	"encoding/binary"
	"time"

	sshfx "github.com/pkg/sftp/v2/encoding/ssh/filexfer"
)

// Action says what a Tap does with a packet. The zero value lets it pass.
type Action struct {
	kind  actionKind
	bytes []byte
	code  uint32
	msg   string
	delay time.Duration
}

type actionKind int

const (
	pass actionKind = iota
	drop
	hold
	replaceBody
	replaceRaw
	answerStatus
)

// Pass lets the packet pass as it is.
func Pass() Action { return Action{} }

// Drop makes the packet vanish.
func Drop() Action { return Action{kind: drop} }

// Hold keeps the packet until Tap.Release.
func Hold() Action { return Action{kind: hold} }

// Delay lets the packet pass later. Packets behind it that are not delayed overtake it.
func Delay(d time.Duration) Action { return Action{delay: d} }

// ReplaceBody changes what follows the id (the type, with INIT and VERSION); the length follows.
func ReplaceBody(body []byte) Action { return Action{kind: replaceBody, bytes: body} }

// ReplaceRaw puts any bytes in the place of the whole packet with its length.
func ReplaceRaw(raw []byte) Action { return Action{kind: replaceRaw, bytes: raw} }

// Answer gives the client a STATUS: instead of passing a request on to the server, or instead of a reply.
func Answer(code uint32, msg string) Action {
	return Action{kind: answerStatus, code: code, msg: msg}
}

// statusReply makes the STATUS that Answer gives to request.
func statusReply(request Packet, code uint32, msg string) Packet {
	body := binary.BigEndian.AppendUint32(nil, code)
	for _, s := range []string{msg, ""} {
		body = binary.BigEndian.AppendUint32(body, uint32(len(s)))
		body = append(body, s...)
	}
	return Packet{
		Channel: request.Channel,
		Type:    byte(sshfx.PacketTypeStatus),
		Name:    "STATUS",
		ID:      request.ID,
		Body:    body,
		Request: &request,
	}
}
