package amqp091

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	// setupTimeout bounds dialling, the handshakes and the declarations together. Electing the leader of a new quorum
	// queue on a busy cluster takes seconds.
	setupTimeout = 20 * time.Second
	// goodbyeTimeout bounds the closing handshake, after which the broker has processed all that came before it.
	goodbyeTimeout = 3 * time.Second

	backoffFirst = 100 * time.Millisecond
	backoffMax   = 10 * time.Second
	// steadyAfter is how long a connection must have lived for the next pause to start small again: one that is lost
	// as soon as it is made must not be made in a hot loop.
	steadyAfter = 5 * time.Second
)

// socket is the broker's network connection. Two things are added to it.
//
// Writes are gathered while it is corked: the client library writes to the socket once for every message, and that costs
// more than all the rest of a publish.
//
// A failed read closes it. When the library finds that a broker hangs (no heartbeats), it takes the locks of its channels
// before it closes the socket, and a publisher that is stuck in a write holds such a lock until the socket is closed.
type socket struct {
	net.Conn

	mu     sync.Mutex
	corked bool
	buf    []byte
}

// corkLimit is the size at which gathered writes go out though the socket is corked; more gains nothing.
const corkLimit = 64 << 10

func (s *socket) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if err != nil {
		s.Conn.Close()
	}
	return n, err
}

func (s *socket) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.corked {
		return s.Conn.Write(p)
	}
	s.buf = append(s.buf, p...)
	if len(s.buf) >= corkLimit {
		if err := s.flush(); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (s *socket) flush() error {
	if len(s.buf) == 0 {
		return nil
	}
	_, err := s.Conn.Write(s.buf)
	s.buf = s.buf[:0]
	return err
}

// cork makes writes wait for uncork.
func (s *socket) cork() {
	s.mu.Lock()
	s.corked = true
	s.mu.Unlock()
}

// uncork writes out what was gathered. It blocks as a write does, until the socket is closed.
func (s *socket) uncork() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.corked = false
	return s.flush()
}

// link is one connection to the broker, from its handshake to its end.
type link struct {
	broker *broker
	conn   *amqp.Connection
	sock   *socket
	closed chan *amqp.Error
	blocks chan amqp.Blocking
	stop   func() bool // ends the hold that the context of dial has on the socket; false if it came too late
}

// dial connects, with what the files that the settings name have in them now. The end of ctx kills the connection until stop is called.
func (s *Settings) dial(ctx context.Context, role string) (*link, error) {
	b, err := s.broker()
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", s.endpoint(), err)
	}
	l := &link{broker: b, closed: make(chan *amqp.Error, 1), blocks: make(chan amqp.Blocking, 16)}
	properties := amqp.NewConnectionProperties()
	properties["product"] = "eiffelbridge"
	if s.ConnectionName != "" {
		properties.SetClientConnectionName(s.ConnectionName + " " + role)
	}
	config := b.config
	config.Heartbeat, config.Locale, config.Properties = s.Heartbeat, "en_US", properties
	config.Dial = func(network, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		l.sock = &socket{Conn: c}
		// None of the handshakes takes a context.
		l.stop = context.AfterFunc(ctx, l.kill)
		return l.sock, nil
	}
	conn, err := amqp.DialConfig(b.url, config)
	if err != nil {
		if l.sock != nil {
			l.stop()
			l.kill() // the library leaves it open after some failures of the handshake
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx) // what the library saw is only the socket that was closed
		}
		return nil, fmt.Errorf("connecting to %s: %w", b.endpoint, b.refused(err))
	}
	l.conn = conn
	conn.NotifyClose(l.closed)
	conn.NotifyBlocked(l.blocks)
	return l, nil
}

// setUp dials and lets declare do the rest of what must be done before the link is used, all of it within setupTimeout
// and while ctx lasts. Whoever gets a link owes it a close; on an error there is none.
func (s *Settings) setUp(ctx context.Context, role string, declare func(*link) error) (*link, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, setupTimeout, errors.New("the broker does not answer"))
	defer cancel()
	l, err := s.dial(ctx, role)
	if err != nil {
		return nil, err
	}
	err = declare(l)
	if !l.stop() {
		err = context.Cause(ctx) // what declare saw is only the socket that was closed
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// kill closes the socket at once; whoever waits for the broker gets an error.
func (l *link) kill() { l.sock.Close() }

// close says goodbye, so that the broker has processed what was sent before. It takes goodbyeTimeout at most.
func (l *link) close() {
	last := time.AfterFunc(goodbyeTimeout+time.Second, l.kill)
	defer last.Stop()
	// An error says that the connection is gone already, which is what is wanted.
	_ = l.conn.CloseDeadline(time.Now().Add(goodbyeTimeout))
	l.kill()
}

// lossReason is why a connection or channel ended, of what its notification said.
func lossReason(e *amqp.Error) error {
	if e == nil {
		return errors.New("closed")
	}
	return fmt.Errorf("%d %s", e.Code, e.Reason)
}

// backoff is the pause before an attempt to connect again. The zero value starts with the shortest.
type backoff struct{ failures int }

// next gives a pause that doubles from backoffFirst to backoffMax, less up to half of it by chance, so that the clients
// of a broker that comes back do not all come at once.
func (b *backoff) next() time.Duration {
	pause := backoffMax
	if b.failures < 10 {
		pause = min(backoffMax, backoffFirst<<b.failures)
	}
	b.failures++
	return jitter(pause)
}

func jitter(d time.Duration) time.Duration {
	if d < 2 {
		return d
	}
	return d - rand.N(d/2)
}

// sleep waits for d or the end of ctx, and tells whether it was d.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
