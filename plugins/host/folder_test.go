package host_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/eiffelbridge/eiffelbridge/plugins/host"
)

// TestBeHost is a host that others kill.
func TestBeHost(t *testing.T) {
	if os.Getenv("TEST_HOST") == "" {
		return // nobody is there to be a host for
	}
	p, _ := start(t, "mapping")
	wait(t, p)
	fmt.Println("runs")
	time.Sleep(time.Minute)
}

// TestFolders: a host that is killed leaves a folder, which the next one removes, and nothing else; a host that ends leaves none.
func TestFolders(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("there are no locks that tell whose host is gone")
	}
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	folders := func() []string {
		paths, err := filepath.Glob(filepath.Join(temp, "eiffelbridge-plugin-*"))
		if err != nil {
			t.Fatal(err)
		}
		return paths
	}
	// beHost starts a host and gives its folder.
	beHost := func() (*exec.Cmd, string) {
		before := folders()
		cmd := exec.Command(os.Args[0], "-test.run=^TestBeHost$")
		cmd.Env = append(os.Environ(), "TEST_HOST=yes")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		if _, err := fmt.Fscanf(out, "runs\n"); err != nil {
			t.Fatal(err)
		}
		for _, path := range folders() {
			if !slices.Contains(before, path) {
				return cmd, path
			}
		}
		t.Fatalf("the host has no folder: %v", folders())
		return nil, ""
	}
	killed, left := beHost()
	_, lives := beHost()
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait()
	if _, err := os.Stat(left); err != nil {
		t.Fatalf("the folder of the killed host: %v", err)
	}

	// What is not a folder that a host has left.
	keep := []string{lives}
	make := func(name string, make func(path string) error) string {
		path := filepath.Join(temp, "eiffelbridge-plugin-"+name)
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	valuables := t.TempDir()
	if err := os.WriteFile(filepath.Join(valuables, "host.lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	keep = append(keep,
		make("file", func(path string) error { return os.WriteFile(path, nil, 0o600) }),
		make("link", func(path string) error { return os.Symlink(valuables, path) }),
		make("being-made", func(path string) error { return os.Mkdir(path, 0o700) }),
		make("open-to-all", func(path string) error {
			if err := os.Mkdir(path, 0o700); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(path, "host.lock"), nil, 0o600); err != nil {
				return err
			}
			return os.Chmod(path, 0o755)
		}),
	)
	old := make("old", func(path string) error {
		if err := os.Mkdir(path, 0o700); err != nil {
			return err
		}
		past := time.Now().Add(-2 * time.Hour)
		return os.Chtimes(path, past, past)
	})
	if os.Getuid() == 0 {
		foreign := make("foreign", func(path string) error {
			if err := os.Mkdir(path, 0o700); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(path, "host.lock"), nil, 0o600); err != nil {
				return err
			}
			return os.Chown(path, 12345, 12345)
		})
		keep = append(keep, foreign)
	}

	p, _ := start(t, "mapping")
	wait(t, p)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{left, old} {
		if _, err := os.Lstat(gone); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", gone, err)
		}
	}
	got := folders()
	slices.Sort(keep)
	if !slices.Equal(got, keep) {
		t.Errorf("there are %v, not %v", got, keep)
	}
	if _, err := os.Stat(filepath.Join(valuables, "host.lock")); err != nil {
		t.Error(err)
	}

	// Starts that fail leave nothing either.
	q, _ := start(t, "silent", func(s *host.Settings) { s.StartTimeout, s.MaxFailures = 200*time.Millisecond, 2 })
	if _, err := q.Wait(t.Context()); err == nil {
		t.Error("a silent plugin runs")
	}
	r, _ := start(t, "exits")
	if _, err := r.Wait(t.Context()); err == nil {
		t.Error("a plugin that exits runs")
	}
	_, _ = q.Close(), r.Close()
	if got := folders(); !slices.Equal(got, keep) {
		t.Errorf("there are %v, not %v", got, keep)
	}
}
