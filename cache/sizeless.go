package cache

import (
	"errors"
	"syscall"
)

// endless is the error of opening a file at p whose size the server does not tell. To the kernel the file is empty, and so it would be to a
// program that reads it or appends to it.
func (c *Cache) endless(p string) error {
	c.warnSizes.Do(func() {
		c.log.Warn("the server does not tell the size of a file: it looks empty, and can be written anew but not read or changed", "path", p)
	})
	return fail("open", p, syscall.EOPNOTSUPP, errors.New("the server does not tell how long the file is"))
}
