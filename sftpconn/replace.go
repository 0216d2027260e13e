package sftpconn

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path"
)

// replacement is a rename that replaces a file, on a server whose RENAME refuses that. The file
// that is replaced gets another name, the new one takes its place, and the old one is removed.
// Between the first two steps nothing has the name. So once begun it is finished or undone, even
// if the line is lost or the program that asked for it has gone.
// A directory may replace an empty one: that is removed first, and made again where the new one can't take its place.
type replacement struct {
	c        *Conn
	wanted   context.Context // ends when nobody waits for the rename any more
	old, new string
	refusal  error  // the answer to the plain RENAME
	aside    string // the name of a file that is replaced, meanwhile
	dir      bool   // both are directories, and that with the new name must be empty
	perm     uint32 // its permission bits
	state    replaceState
	begun    bool  // the first step was sent and not answered
	made     bool  // the server has answered that it has made the directory again
	undone   error // why it is being undone; nil where it is not
}

type replaceState int

const (
	movesAside replaceState = iota
	removesEmpty
	takesPlace
	removesOld
	undoes
	makesEmpty
	replaceDone
)

// replace runs a replacement. refusal is the answer to the plain RENAME. With onlyDirs the server replaces files itself.
func (c *Conn) replace(ctx context.Context, oldpath, newpath string, refusal error, onlyDirs bool) error {
	r := &replacement{
		c: c, old: oldpath, new: newpath, refusal: refusal,
		aside: path.Join(path.Dir(newpath), fmt.Sprintf(".sshmount-%016x", rand.Uint64())),
	}
	err := c.retry(ctx, "rename", oldpath, func(ch *channel, _ bool) error {
		before, after := ch.s.Lstat(oldpath), ch.s.Lstat(newpath)
		if err := ch.wait(ctx, before); err != nil {
			return err
		}
		if err := ch.wait(ctx, after); err != nil {
			if isAbsent(err) {
				return refusal
			}
			return err
		}
		dir, overDir := before.Attr().Mode&modeType == modeDir, after.Attr().Mode&modeType == modeDir
		if dir != overDir || onlyDirs && !dir {
			return refusal
		}
		if dir {
			r.dir, r.state, r.perm = true, removesEmpty, after.Attr().Mode&modePerm
		}
		return nil
	})
	if err != nil {
		return err
	}
	wanted, cancel := ctx, func() {}
	if !isPatient(ctx) {
		wanted, cancel = c.Bounded(ctx)
	}
	defer cancel()
	r.wanted = wanted
	done := make(chan error, 1)
	c.spawn(func() { done <- r.run() })
	select {
	case err := <-done:
		return err
	case <-wanted.Done():
		return context.Cause(wanted)
	case <-c.ctx.Done():
		return ErrClosed
	}
}

// run takes all the steps.
func (r *replacement) run() error {
	ctx := Patient(r.c.ctx)
	err := r.c.change(ctx, "rename", []string{r.old, r.new, r.aside}, func(ch *channel, again bool) error {
		for r.state != replaceDone {
			if err := r.step(ctx, ch, again); err != nil {
				return err
			}
		}
		return nil
	})
	switch {
	case err == nil:
	case r.state == removesOld:
		r.c.o.Logger.Warn("the file that a rename replaced could not be removed", "path", r.aside, "cause", err)
		err = nil
	case r.dir:
		if r.begun || r.state != removesEmpty {
			r.c.o.Logger.Error("a rename failed half way; the empty directory that it was to replace may be gone", "path", r.new, "cause", err)
		}
	case r.begun || r.state == takesPlace || r.state == undoes:
		r.c.o.Logger.Error("a rename failed half way; the file that it was to replace may have another name now",
			"path", r.new, "look for", r.aside, "cause", err)
	}
	if r.undone != nil {
		return r.undone
	}
	return err
}

// step takes the next step. again says that the server may have taken it already.
func (r *replacement) step(ctx context.Context, ch *channel, again bool) error {
	switch r.state {
	case movesAside:
		if again {
			switch there, err := r.c.exists(ctx, ch, r.aside); {
			case err != nil:
				return err
			case there:
				r.state = takesPlace
				return nil
			}
		}
		if r.wanted.Err() != nil {
			return context.Cause(r.wanted)
		}
		if err := ch.wait(ctx, ch.s.Rename(r.new, r.aside)); err != nil {
			r.begun = wasSent(err)
			return err
		}
		r.state = takesPlace

	case removesEmpty:
		if again {
			switch there, err := r.c.exists(ctx, ch, r.new); {
			case err != nil:
				return err
			case !there:
				r.state = takesPlace
				return nil
			}
		}
		if r.wanted.Err() != nil {
			return context.Cause(r.wanted)
		}
		switch err := ch.wait(ctx, ch.s.Rmdir(r.new)); {
		case refused(err):
			return r.refusal
		case err != nil:
			r.begun = wasSent(err)
			return err
		}
		r.state = takesPlace

	case takesPlace:
		if again {
			switch done, err := r.c.renamed(ctx, ch, r.old, r.new); {
			case err != nil:
				return err
			case done:
				r.placed()
				return nil
			}
		}
		if r.wanted.Err() != nil {
			r.undo(context.Cause(r.wanted))
			return nil
		}
		switch err := ch.wait(ctx, ch.s.Rename(r.old, r.new)); {
		case refused(err):
			r.undo(err)
		case err != nil:
			return err
		default:
			r.placed()
		}

	case removesOld:
		if err := ch.wait(ctx, ch.s.Remove(r.aside)); err != nil && !isAbsent(err) {
			return err
		}
		r.state = replaceDone

	case undoes:
		if again {
			switch there, err := r.c.exists(ctx, ch, r.aside); {
			case err != nil:
				return err
			case !there:
				r.state = replaceDone
				return nil
			}
		}
		if err := ch.wait(ctx, ch.s.Rename(r.aside, r.new)); err != nil {
			return err
		}
		r.state = replaceDone

	case makesEmpty:
		bits := modeOnly(r.perm)
		if err := ch.wait(ctx, ch.s.Mkdir(r.new, bits)); err == nil {
			r.made = true
		} else if !(again && refused(err)) {
			return err
		}
		if r.made { // the umask may have taken bits; a directory that somebody else may have made keeps its own
			if err := ch.wait(ctx, ch.s.Setstat(r.new, bits)); err != nil && !refused(err) {
				return err
			}
		}
		r.state = replaceDone
	}
	return nil
}

// placed goes on when the new one has its place.
func (r *replacement) placed() {
	r.state = removesOld
	if r.dir {
		r.state = replaceDone
	}
}

// undo gives back its name to what was to be replaced, for the reason why.
func (r *replacement) undo(why error) {
	r.state, r.undone = undoes, why
	if r.dir {
		r.state = makesEmpty
	}
}
