package sftpconn

import "context"

type patientKey struct{}

// Patient makes a context whose requests wait for the line without a limit of time.
func Patient(ctx context.Context) context.Context {
	return context.WithValue(ctx, patientKey{}, true)
}

func isPatient(ctx context.Context) bool { return ctx.Value(patientKey{}) != nil }

type guessKey struct{}

// Guess makes a context for requests that no program waits for. One that was on its way when the session ended gives ErrEndsSession
// at once, and is not sent again: it may be what the session ended of, and then it would end the next one too.
func Guess(ctx context.Context) context.Context {
	return context.WithValue(ctx, guessKey{}, true)
}

func isGuess(ctx context.Context) bool { return ctx.Value(guessKey{}) != nil }

type askerKey struct{}

// OnBehalf makes a context for a change that asker wants, and that must not be left half known: a connection is waited for only
// as long as both last, and an answer as long as ctx does. So what was not sent when asker ends is not sent
// any more, and of what was sent the outcome is learnt, unless the line is lost.
func OnBehalf(ctx, asker context.Context) context.Context {
	return context.WithValue(ctx, askerKey{}, asker)
}

// ended is the cause of ctx's end; nil while it lasts.
func ended(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}

// askerOf is who may give up waiting for a connection: ctx itself, but for OnBehalf.
func askerOf(ctx context.Context) context.Context {
	if asker, ok := ctx.Value(askerKey{}).(context.Context); ok {
		return asker
	}
	return ctx
}
