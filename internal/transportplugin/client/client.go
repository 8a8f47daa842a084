// Package client makes a [transport.Source] and a [transport.Sink] of the plugin protocol's SourceService and SinkService. It
// is the host's side of transport plugins, apart so that it can be tested without a process.
package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Link is what a [Source] and a [Sink] need of a plugin's process.
type Link interface {
	// Connect gives the connection to the present incarnation. It waits while one is being started, until ctx ends; an
	// error that is not ctx's says why none will be there soon.
	Connect(ctx context.Context) (Connection, error)
	// Health is nil while an incarnation is ready.
	Health() error
	// Release gives up the use of the process. It is called once.
	Release(ctx context.Context) error
}

// Connection is that to one incarnation.
type Connection struct {
	grpc.ClientConnInterface
	Worked func()             // the plugin has done something useful; may be called often
	Fail   func(reason error) // the incarnation breaks the protocol, or hangs: it is to be replaced
}

// The pauses before a stream is opened again on an incarnation that has just lost one, or after there was none at all. A
// new incarnation needs none: its process has pauses of its own.
const (
	streamRetryFirst = 20 * time.Millisecond
	streamRetryMax   = time.Second
	// streamSteady is how long a stream must have lived to count as one that worked.
	streamSteady = 5 * time.Second
)

// backoff makes pauses that double, with jitter.
type backoff struct {
	last     grpc.ClientConnInterface // of the incarnation that failed last
	failures int
}

// failed gives the pause after a failure on an incarnation, whose connection is nil if there was none.
func (b *backoff) failed(on grpc.ClientConnInterface) time.Duration {
	if on != nil && on != b.last {
		// Most probably it has died, and what takes time is the start of the next.
		b.last, b.failures = on, 0
		return 0
	}
	pause := min(streamRetryMax, streamRetryFirst<<min(b.failures, 10))
	b.failures++
	return pause/2 + rand.N(pause/2+1)
}

// pause waits, and tells whether ctx still goes on.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// violation is a breach of the protocol by the plugin.
type violation struct{ what string }

func (v *violation) Error() string { return "the plugin breaks the protocol: " + v.what }

func violated(format string, args ...any) error { return &violation{fmt.Sprintf(format, args...)} }

// lossReason says in a user's words why a stream has ended.
func lossReason(err error) error {
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	switch s.Code() {
	case codes.Unavailable:
		return fmt.Errorf("the connection to the plugin was lost: %s", s.Message())
	case codes.OK:
		return errors.New("the plugin has ended the stream")
	}
	return errors.New(s.Message())
}

// hopeless tells whether a plugin's status says that no other attempt can succeed.
func hopeless(err error) bool {
	switch status.Code(err) {
	case codes.FailedPrecondition, codes.Unimplemented:
		return true
	}
	return false
}
