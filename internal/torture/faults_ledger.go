//go:build unix

package torture

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// ledgerCells are faults of the ledger's disk.
func ledgerCells() []*cell {
	return []*cell{
		{name: "ledger disk full", process: "the ledger's disk", prepare: mountSmallDisk, fault: fillDisk,
			configure: func(c *configuration) { c.ledger = filepath.Join(filepath.Dir(c.ledger), "disk", "ledger") }},
		{name: "ledger file truncated", process: "the ledger's files", fault: truncateLedger, small: true},
	}
}

// mountSmallDisk mounts a file system of 64 MiB in the cell's folder.
func mountSmallDisk(r *run) error {
	folder := filepath.Join(r.dir, "disk")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder).CombinedOutput(); err != nil {
		return fmt.Errorf("mount a small disk, which only root may: %w: %s", err, bytes.TrimSpace(out))
	}
	r.atEnd = append(r.atEnd, func() {
		if out, err := exec.Command("umount", folder).CombinedOutput(); err != nil {
			_ = exec.Command("umount", "-l", folder).Run()
			r.saw("umount: %v: %s", err, bytes.TrimSpace(out))
		}
	})
	return nil
}

// fillDisk takes all room of the ledger's disk for some seconds.
func fillDisk(ctx context.Context, r *run) error {
	r.pacer.allow(r.workload.total)
	ballast := filepath.Join(r.dir, "disk", "ballast")
	file, err := os.Create(ballast)
	if err != nil {
		return err
	}
	defer file.Close()
	full := func() error { // until there is no room for a byte
		for chunk := 1 << 20; chunk > 0; {
			_, err := file.Write(make([]byte, chunk))
			switch {
			case errors.Is(err, syscall.ENOSPC):
				chunk /= 2
			case err != nil:
				return err
			}
		}
		return nil
	}
	began := time.Now()
	// The engine has a little room in the log that it made before.
	if err := r.waitFor(ctx, "/readyz to tell of the full disk", func() bool {
		if err = full(); err != nil {
			return true
		}
		text, ready := r.relay.get(ctx, "/readyz")
		return ready != nil && strings.Contains(string(text), "full")
	}); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	if err := sleep(ctx, 4*time.Second); err != nil {
		return err
	}
	stopped := time.Now().Add(-3 * time.Second)
	accepted := 0
	if r.direction == ToEiffel { // what is accepted is committed
		accepted = r.acceptedSince(stopped)
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	r.over()
	if accepted > 0 {
		return fmt.Errorf("%d events were accepted while nothing could be committed", accepted)
	}
	r.saw("full for %.1f s, and /readyz said so; %d attempts of senders failed", time.Since(began).Seconds(), r.failuresSince())
	return nil
}

// acceptedSince is how many events were accepted since then.
func (r *run) acceptedSince(t time.Time) (n int) {
	counts := r.load.tally()
	counts.mu.Lock()
	defer counts.mu.Unlock()
	for _, at := range counts.inputs {
		if at.After(t) {
			n++
		}
	}
	return n
}

// truncateLedger kills the relay under load and cuts each kind of the ledger's files in turn. The relay must refuse to start,
// say why and change nothing; with the file put back it goes on.
func truncateLedger(ctx context.Context, r *run) error {
	// Stopped in order, the log is in tables; killed, it is in the log. The tables are what there is to cut.
	if err := r.relay.shutdown(ctx); err != nil {
		return err
	}
	folder := r.config.ledger
	var names []string
	for _, pattern := range []string{"LEDGER", "engine/MANIFEST-*", "engine/*.sst", "engine/OPTIONS-*"} {
		found, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			return err
		}
		if len(found) == 0 && pattern != "engine/OPTIONS-*" {
			return fmt.Errorf("%w: the ledger has no %s", errFault, pattern)
		}
		if len(found) > 0 {
			names = append(names, found[len(found)-1])
		}
	}
	refused := 0
	for _, name := range names {
		original, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(name, original[:len(original)/2], 0o640); err != nil {
			return err
		}
		before, err := sums(folder)
		if err != nil {
			return err
		}
		said := len(r.relay.log.String())
		if err := r.relay.launch(); err != nil {
			return err
		}
		select {
		case <-r.relay.ended:
		case <-time.After(10 * time.Second):
			return fmt.Errorf("the relay runs with half of %s", name)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		text := r.relay.log.String()[said:]
		if r.relay.status == nil || !strings.Contains(text, "damaged") || !strings.Contains(text, folder) {
			return fmt.Errorf("with half of %s the relay ended with %q and said %q", name, fmt.Sprint(r.relay.status), text)
		}
		after, err := sums(folder)
		if err != nil {
			return err
		}
		for path, sum := range before {
			if after[path] != sum {
				return fmt.Errorf("the relay changed %s when %s was cut", path, name)
			}
		}
		for path := range after {
			if _, ok := before[path]; !ok {
				return fmt.Errorf("the relay made %s when %s was cut", path, name)
			}
		}
		refused++
		if err := os.WriteFile(name, original, 0o640); err != nil {
			return err
		}
	}
	r.over()
	if err := r.relay.start(ctx); err != nil {
		return err
	}
	r.saw("%d files cut by turns: %d clear refusals, no byte changed, no file made; went on with the files put back", len(names), refused)
	return nil
}

// sums are the checksums of all files, the lock's aside, which holds the number of the last process.
func sums(folder string) (map[string][sha256.Size]byte, error) {
	out := map[string][sha256.Size]byte{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(path) == "LOCK" {
			return err
		}
		text, err := os.ReadFile(path)
		out[path] = sha256.Sum256(text)
		return err
	})
	return out, err
}
