package cache

import "time"

// What is answered before the server has done it (-o async) shows the time at which the program asked for it. The server gives the time at
// which it does it, which is the same as far as whole seconds tell, but not behind a line that has stalled or a long backlog: then whoever
// asks for the attributes next has the server asked.

// doneLate notes what the server has given other times than were foreseen, where it has told of a change long after that was answered.
// While more is to be done in a directory it goes on with the time that is foreseen: asking would wait behind the backlog, to learn
// what is out of date at once. Called with mu held, when the change has ended in its names.
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

// guessedWrong has the server asked about the time of a node, but where it is told of anyway. Called with mu held.
func (c *Cache) guessedWrong(n *Node) {
	if n.mtimeGuessed || n.sentTimes > 0 || n.isDir() && len(n.dir.there) > 0 || n.file != nil && n.file.written.unsettled() {
		return
	}
	n.mtimeGuessed = true
	c.notifyContent(n.id)
}
