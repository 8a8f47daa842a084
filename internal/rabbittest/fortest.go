//go:build unix

package rabbittest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
)

// ForTest starts a node of the test's own and registers its Close. The test may
// kill, pause and stop it at will.
//
// Without a rabbitmq-server the test is skipped, but fails where a skipped test
// would go unnoticed: if CI is set (other than to 0 or false), or
// EIFFELBRIDGE_REQUIRE_RABBITMQ is 1.
//
// Tests never use a broker that was not started for them: they raise alarms,
// kill it and delete what they find.
func ForTest(tb testing.TB) *Server {
	tb.Helper()
	return ForTestWith(tb, Options{})
}

// ForTestWith is ForTest with options.
func ForTestWith(tb testing.TB, options Options) *Server {
	tb.Helper()
	s, err := Start(tb.Context(), options)
	if err != nil {
		fail(tb, err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("the end of the log of rabbitmq:\n%s", s.LogTail())
		}
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

var shared struct {
	mu     sync.Mutex
	inMain bool
	s      *Server
	err    error
}

// Shared is ForTest with one node for all tests of the binary, which is started
// for the first of them. The tests must use names of queues and exchanges of
// their own, and leave the node as it is: whoever stops it or raises an alarm
// needs ForTest. The package must have
//
//	func TestMain(m *testing.M) { os.Exit(rabbittest.Main(m)) }
func Shared(tb testing.TB) *Server {
	tb.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if !shared.inMain {
		tb.Fatal("rabbittest.Shared takes a TestMain that calls rabbittest.Main, which ends the node")
	}
	if shared.s == nil && shared.err == nil {
		// Not the test's context: the node outlives it.
		shared.s, shared.err = Start(context.Background(), Options{})
	}
	if shared.err != nil {
		fail(tb, shared.err)
	}
	return shared.s
}

// Main runs the tests of a binary and then closes the node of Shared, if there
// is one. It returns the status to exit with.
func Main(m *testing.M) int {
	shared.mu.Lock()
	shared.inMain = true
	shared.mu.Unlock()

	code := m.Run()

	shared.mu.Lock()
	defer shared.mu.Unlock()
	shared.inMain = false
	if shared.s == nil {
		return code
	}
	if err := shared.s.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	return code
}

// fail ends the test; a missing installation skips it where that may be.
func fail(tb testing.TB, err error) {
	tb.Helper()
	if errors.Is(err, ErrNotInstalled) && !Required() {
		tb.Skipf("%v; with EIFFELBRIDGE_REQUIRE_RABBITMQ=1 this would be a failure", err)
	}
	tb.Fatal(err)
}

// Required tells whether a missing installation is a failure, as [ForTest] has it.
func Required() bool {
	if os.Getenv("EIFFELBRIDGE_REQUIRE_RABBITMQ") == "1" {
		return true
	}
	switch os.Getenv("CI") {
	case "", "0", "false":
		return false
	}
	return true
}
