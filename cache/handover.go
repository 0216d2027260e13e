package cache

// handover is how what a change makes gets to the program that has submitted it. As a rule the change enters it in the tree (change.enter, or
// change.predict), and then submit returns. But a program that gives up is answered at once, and its change goes on to its end. So there are
// three cases:
//
//	first              then                       what was made
//	it is entered      submit returns no error    the program takes it
//	it is entered      submit returns an error    the caller of submit gives it back: the program had just given up
//	submit returns     it is entered              enter closes it, or takes no reference for it (unwanted)
//
// T holds references and handles, so that either side can give them back.
type handover[T any] struct {
	made     T    // zero before it is entered; guarded by Cache.mu
	unwanted bool // submit has returned an error: nobody takes what is entered from now on; guarded by Cache.mu
}

// returned notes that submit has returned err, and gives what was entered until then. It takes mu.
func (o *handover[T]) returned(c *Cache, err error) T {
	c.mu.Lock()
	defer c.mu.Unlock()
	o.unwanted = err != nil
	return o.made
}
