//go:build unix

package torture

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// clientCells are faults of clients.
func clientCells() []*cell {
	return []*cell{{
		name: "64 slow and malformed clients", directions: []Direction{ToEiffel}, none: "the relay has no HTTP clients here",
		fault: badClients, rate: 400, small: true,
	}}
}

// badClients keeps 64 connections busy with what is slow or no HTTP, and holds the good senders' rate against that before.
func badClients(ctx context.Context, r *run) error {
	const connections = 64
	ctx, end := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer func() {
		end()
		group.Wait()
	}()
	var sent, answered atomic.Int64
	head := "POST / HTTP/1.1\r\nHost: relay\r\nContent-Type: application/cloudevents+json\r\n"
	for i := range connections {
		group.Go(func() {
			for ctx.Err() == nil {
				conn, err := net.Dial("tcp", r.relay.listen)
				if err != nil {
					_ = sleep(ctx, 50*time.Millisecond)
					continue
				}
				stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
				slowly := func(text string, pause time.Duration) {
					for _, c := range []byte(text) {
						if _, err := conn.Write([]byte{c}); err != nil || sleep(ctx, pause) != nil {
							return
						}
					}
				}
				switch i % 8 {
				case 0: // a header that never ends
					slowly("POST / HTTP/1.1\r\nHost: relay\r\n"+strings.Repeat("X-A: b\r\n", 1000), 100*time.Millisecond)
				case 1: // a body that never ends
					_, _ = io.WriteString(conn, head+"Content-Length: 100000\r\n\r\n")
					slowly(strings.Repeat(" ", 100000), 100*time.Millisecond)
				case 2: // no HTTP
					_, _ = io.WriteString(conn, "\x16\x03\x01\x02\x00 what is this?\r\n\r\n")
				case 3: // a length that is a lie
					_, _ = io.WriteString(conn, head+"Content-Length: -1\r\n\r\n{}")
				case 4: // headers without bound
					_, _ = io.WriteString(conn, head+"X-Large: "+strings.Repeat("a", 3<<20)+"\r\n\r\n")
				case 5: // no CloudEvent's media type
					_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: relay\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\n{}")
				case 6: // chunks that are none
					_, _ = io.WriteString(conn, head+"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n")
				case 7: // connected, and nothing
					_ = sleep(ctx, 3*time.Second)
				}
				sent.Add(1)
				_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
				if n, _ := conn.Read(make([]byte, 1)); n > 0 {
					answered.Add(1)
				}
				stop()
				_ = conn.Close()
				_ = sleep(ctx, 20*time.Millisecond)
			}
		})
	}
	began := time.Now()
	before := float64(r.recorder.between(r.began, began)) / began.Sub(r.began).Seconds()
	if err := r.waitAccepted(ctx, r.workload.total*3/5); err != nil {
		return err
	}
	during := float64(r.recorder.between(began, time.Now())) / time.Since(began).Seconds()
	r.over()
	if n := r.failuresSince(); n > 0 {
		return fmt.Errorf("%d attempts of good senders failed; last %q", n, r.load.tally().last())
	}
	if !r.options.Short && during < 0.8*before { // beside other cells a rate says nothing
		return fmt.Errorf("%.0f events a second with bad clients, %.0f without", during, before)
	}
	if answered.Load() == 0 {
		return fmt.Errorf("%w: no bad client got an answer", errFault)
	}
	r.saw("%d bad requests over %d connections, %d of them answered; good senders: %.0f events a second before, %.0f meanwhile, no failed attempt",
		sent.Load(), connections, answered.Load(), before, during)
	return nil
}
