package sftpconn

import "context"

type patientKey struct{}

// Patient makes a context whose requests wait for the line without a limit of time.
func Patient(ctx context.Context) context.Context {
	return context.WithValue(ctx, patientKey{}, true)
}

func isPatient(ctx context.Context) bool { return ctx.Value(patientKey{}) != nil }

type guessKey struct{}

// Guess makes a context for requests that no program waits for. One that was in flight when its session ended fails with
// ErrEndsSession, and is not sent again: it may be the reason why the session ended, and would end the next one too.
func Guess(ctx context.Context) context.Context {
	return context.WithValue(ctx, guessKey{}, true)
}

func isGuess(ctx context.Context) bool { return ctx.Value(guessKey{}) != nil }

type askerKey struct{}

// OnBehalf makes a context for a change that asker has asked for and whose outcome must be known. It waits for a connection as long as
// both ctx and asker last, but for an answer as long as ctx does. So a request that was not sent when asker ends is never sent, and of
// one that was sent the outcome is learnt, unless the line is lost.
func OnBehalf(ctx, asker context.Context) context.Context {
	return context.WithValue(ctx, askerKey{}, asker)
}

// ended returns the cause of ctx's end; nil while ctx lasts.
func ended(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}

// askerOf returns the context that limits the wait for a connection: the asker of OnBehalf, else ctx itself.
func askerOf(ctx context.Context) context.Context {
	if asker, ok := ctx.Value(askerKey{}).(context.Context); ok {
		return asker
	}
	return ctx
}
