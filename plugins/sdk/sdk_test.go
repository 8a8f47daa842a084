//go:build unix

package sdk_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/plugins/sdk"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// TestMain lets the test binary be the plugin of the tests.
func TestMain(m *testing.M) {
	if os.Getenv(host.CookieName) == "" {
		os.Exit(m.Run())
	}
	if err := sdk.ServeMapping(sdk.MappingOptions{Name: "test", Translator: slow{}}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stderr, "served to the end")
}

type slow struct{}

func (slow) Translate(in translate.Event, _ *ledger.Facts) (translate.Result, error) {
	time.Sleep(500 * time.Millisecond)
	return translate.Result{}, nil
}

// TestByHand says what the program is when somebody starts it.
func TestByHand(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	cmd.Env = []string{host.CookieName + "=of another program"}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "is a plugin of Eiffel Bridge") || !strings.Contains(string(out), "eiffelbridge plugins test") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestTerminated sends SIGTERM while an event is being translated: it is answered, the plugin says on its lease that it
// ends, and goes when its host lets go of it.
func TestTerminated(t *testing.T) {
	s := host.DefaultSettings()
	s.Name, s.Dev = "test", true
	s.Path, _ = os.Executable()
	p, err := host.Start(s)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	i, err := p.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m := host.NewMapping(p, false, host.MappingSettings{})
	defer m.Close()
	engine, err := translate.New(translate.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	in, err := translate.Decode([]byte(`{"context":{"specversion":"0.5.1","id":"1","source":"s","type":"dev.cdeventsx.tool-thing.happened.0.1.0","timestamp":"2026-03-01T09:30:00Z"},"subject":{"id":"x","content":{}}}`))
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		_, err := translate.Ask(t.Context(), host.NewChain(engine, engine, []host.Link{{Plugin: m, Mode: host.ModeOverride}}), translate.NewMemoryLedger(), in)
		answered <- err
	}()
	time.Sleep(200 * time.Millisecond)
	if err := syscall.Kill(i.PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
	for end := time.Now().Add(5 * time.Second); i.Unready() == "" && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	if !strings.Contains(i.Unready(), "SIGTERM") {
		t.Errorf("it says %q", i.Unready())
	}
	if s := p.Stats(); s.Deaths != 0 {
		t.Errorf("%+v", s)
	}
	if err := p.Close(); err != nil || i.Killed() {
		t.Errorf("%v, killed: %v", err, i.Killed())
	}
}
