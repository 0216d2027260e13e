package cache

import (
	"time"

	"sshmount/sftpconn/session"
)

// What is answered before the server has done it (-o async) is shown with the time at which the program asked for it. The server gives it the
// time at which it does it. Mostly these are the same, in whole seconds; behind a stalled line or a long backlog they are not. Then the next
// question for the attributes goes to the server.

// doneLate distrusts the times that were foreseen for what a change has made, where the server has done it long after it was answered. A
// directory in which more is to be done keeps the time that is foreseen: a question would wait behind the backlog, and its answer would be
// out of date at once. Called with mu held, when the change has ended in its names.
func (c *Cache) doneLate(p *pending) {
	if c.now()-p.since <= int64(clockBlur*time.Second) {
		return
	}
	for i, at := range p.names {
		c.guessedWrong(at.dir)
		if n := p.has[i]; n != nil && n.foreseen {
			c.guessedWrong(n)
		}
	}
}

// learnTimes enters the times that the server has given to a link n that it has just made, with attributes a, and of which the program was
// told others. n may be nil, and something else than a link. It takes mu.
func (c *Cache) learnTimes(n *Node, a session.Attr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n == nil || !n.isLink() || !n.foreseen || n.sentTimes > 0 || !sameType(n, a) || !tellsAll(a) || a.Mtime == n.attr.Mtime {
		return
	}
	n.attr.Atime, n.attr.Mtime = a.Atime, a.Mtime
	c.changed(n)
	c.notifyContent(n.id)
}

// guessedWrong has the next question for a node's attributes go to the server, unless its times will be told or set anyway. Called with mu
// held.
func (c *Cache) guessedWrong(n *Node) {
	if n.mtimeGuessed || n.sentTimes > 0 || n.isDir() && len(n.dir.there) > 0 || n.file != nil && n.file.written.mtimeOpen() {
		return
	}
	n.mtimeGuessed = true
	c.notifyContent(n.id)
}
