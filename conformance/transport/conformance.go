// Package transportconformance certifies transport drivers: that a source loses nothing and a sink answers for everything, as the
// interfaces of package transport promise. It is not called transport itself, since every harness needs both packages.
//
// A driver's author writes a harness, which makes the driver and plays the far side, and hands it to [TestSource] or [TestSink].
// In a test, package transporttest does so and makes each check a subtest.
package transportconformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// Options adjust a run to a driver. The zero value is right for most.
type Options struct {
	// Checks are the names of the checks to run; nil means all ([SourceChecks], [SinkChecks]).
	Checks []string
	// Patience is how long the kit waits for what must happen, per check; 0 means 10 s.
	Patience time.Duration
	// Quiet is how long the kit watches for what must not happen; 0 means 100 ms.
	Quiet time.Duration
	// KnownFailures are the checks that the driver fails, by name, with the reason. Such a check must fail: one that
	// passes again is an error, so that the list cannot grow stale.
	KnownFailures map[string]string
}

func (o Options) withDefaults() Options {
	if o.Patience <= 0 {
		o.Patience = 10 * time.Second
	}
	if o.Quiet <= 0 {
		o.Quiet = 100 * time.Millisecond
	}
	return o
}

// check is one rule of the contract.
type check[H any] struct {
	name string
	run  func(ctx context.Context, h H, o Options) error
}

// harness is what source and sink harnesses have in common.
type harness interface{ Close() error }

// one runs a check on a harness of its own.
func one[H harness](ctx context.Context, c check[H], newHarness func(context.Context) (H, error), o Options) error {
	err := func() error {
		h, err := newHarness(ctx)
		if err != nil {
			return fmt.Errorf("make the harness: %w", err)
		}
		// Twice the patience: a check waits for several things, and its own errors say more than a deadline.
		bounded, cancel := context.WithTimeout(ctx, 2*o.Patience)
		defer cancel()
		err = c.run(bounded, h, o)
		if closeErr := h.Close(); closeErr != nil {
			err = errors.Join(err, fmt.Errorf("close the harness: %w", closeErr))
		}
		return err
	}()
	if reason, known := o.KnownFailures[c.name]; known {
		if err == nil {
			return fmt.Errorf("passes, but is listed as a known failure (%s): take it off the list", reason)
		}
		return nil
	}
	return err
}

func names[H any](checks []check[H]) []string {
	out := make([]string, len(checks))
	for i, c := range checks {
		out[i] = c.name
	}
	return out
}

func all[H harness](ctx context.Context, checks []check[H], newHarness func(context.Context) (H, error), o Options) error {
	o = o.withDefaults()
	var errs []error
	for _, name := range o.Checks {
		if known := names(checks); !slices.Contains(known, name) {
			errs = append(errs, fmt.Errorf("there is no check %q; there are %s", name, strings.Join(known, ", ")))
		}
	}
	for _, c := range checks {
		if o.Checks != nil && !slices.Contains(o.Checks, c.name) {
			continue
		}
		if err := one(ctx, c, newHarness, o); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.name, err))
		}
	}
	return errors.Join(errs...)
}

// Messages makes n messages whose data provoke drivers: numbers that lose digits, text that needs escapes, members out of
// order, long values. Each is a compact JSON object on one line.
func Messages(n int) []transport.Message {
	out := make([]transport.Message, n)
	for i := range out {
		m := transport.Message{
			Protocol:   transport.CDEvents,
			ID:         fmt.Sprintf("id-%03d é \"%%41\"", i),
			Source:     "/conformance/source",
			Type:       "dev.cdevents.service.deployed.0.2.0",
			Subject:    "pkg:generic/x@1?a=%20b",
			Time:       "2024-05-06T07:08:09.120Z",
			Extensions: map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		}
		if i%2 == 1 {
			m.Protocol, m.Type, m.Subject = transport.Eiffel, "EiffelArtifactDeployedEvent", ""
		}
		filler := ""
		if i%10 == 9 {
			filler = strings.Repeat("long ", 20_000) // 100 kB
		}
		m.Data = fmt.Appendf(nil, `{"z":%d,"a":"\u00e9 é \" \\ \n 😀","n":[12345678901234567890,1.10,1e400,-0],"o":{"":null,"b":{},"a":[]},"f":"%s"}`, i, filler)
		out[i] = m
	}
	return out
}

// compare tells how a message that came differs from the one that was sent. Fields that a transport cannot carry are empty.
func compare(got, want transport.Message) error {
	if !bytes.Equal(got.Data, want.Data) {
		return fmt.Errorf("data differs:\n got %.300s\nwant %.300s", got.Data, want.Data)
	}
	for _, f := range []struct{ name, got, want string }{
		{"protocol", string(got.Protocol), string(want.Protocol)}, {"id", got.ID, want.ID}, {"source", got.Source, want.Source},
		{"type", got.Type, want.Type}, {"subject", got.Subject, want.Subject}, {"time", got.Time, want.Time},
		{"schema", got.Schema, want.Schema},
	} {
		if f.got != "" && f.got != f.want {
			return fmt.Errorf("%s of message %q is %q, want %q", f.name, want.ID, f.got, f.want)
		}
	}
	for name, value := range got.Extensions {
		if value != want.Extensions[name] {
			return fmt.Errorf("extension %s of message %q is %q, want %q", name, want.ID, value, want.Extensions[name])
		}
	}
	return nil
}

// await polls, since Health and the like have no notification.
func await(ctx context.Context, patience time.Duration, what string, condition func() error) error {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		err := condition()
		if err == nil {
			return nil
		}
		select {
		case <-deadline.C:
			return fmt.Errorf("%s: not within %v: %w", what, patience, err)
		case <-ctx.Done():
			return fmt.Errorf("%s: %w: %w", what, ctx.Err(), err)
		case <-time.After(2 * time.Millisecond):
		}
	}
}
