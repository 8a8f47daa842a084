package ledger

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// childVariable has the test binary commit to a ledger until it is killed, or hold it open.
const childVariable = "EIFFELBRIDGE_LEDGER_TEST_CHILD"

func TestMain(m *testing.M) {
	if what, path, ok := strings.Cut(os.Getenv(childVariable), ":"); ok {
		os.Exit(child(what, path))
	}
	os.Exit(m.Run())
}

func child(what, path string) int {
	s, err := Open(path, Options{})
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	fmt.Println("open")
	if what == "hold" {
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		return 0 // without closing it
	}
	run := os.Getpid()
	for writer := range 8 {
		go func() {
			for i := 0; ; i++ {
				b := crashBatch(fmt.Sprintf("%d-%d-%d", run, writer, i))
				if err := s.Commit(context.Background(), b); err != nil {
					fmt.Println("error", err)
					return
				}
				fmt.Println("done", b.Park[0].Key)
			}
		}()
	}
	select {}
}

// crashBatch is a batch of every sort of change whose parts can be told from those of other batches. It is large, so
// that the engine's log is in the middle of it often.
func crashBatch(id string) Batch {
	big := &ledger.EiffelEvent{Artifact: strings.Repeat(id, 100)}
	return Batch{
		Facts: []ledger.Fact{
			{Query: query(ledger.EventFact, id, "a"), Record: big.Encode()},
			{Query: query(ledger.NameFact, "service", id), Record: ledger.Set{id}.Encode()},
			{Query: query(ledger.SubjectFact, "service", "", sharedBy(id)), Record: (&ledger.Subject{Environments: []ledger.SubjectKey{{ID: id}}}).Encode()},
		},
		Park: []Parked{{id, []byte(id)}},
	}
}

// sharedBy is the subject that a batch adds an environment to: batches share one in groups, since a subject keeps a hundred.
func sharedBy(id string) string {
	sum := 0
	for _, c := range id {
		sum = (sum*31 + int(c)) % 1_000_003
	}
	return fmt.Sprint("shared ", sum%1024)
}

// checkCrash checks that what was acknowledged is in the ledger, and nothing by halves.
func checkCrash(t *testing.T, s Store, acknowledged []string) {
	t.Helper()
	have := make(map[string]int)
	parts := 0
	count := func(kind ledger.FactKind, id func(parts []string) string) {
		err := s.Scan(context.Background(), kind, func(key string, record []byte) error {
			p, ok := ledger.ParseKey(key)
			if !ok {
				return fmt.Errorf("key %q", key)
			}
			have[id(p)]++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		parts++
	}
	count(ledger.EventFact, func(p []string) string { return p[0] })
	count(ledger.NameFact, func(p []string) string { return p[1] })
	err := s.ScanParked(context.Background(), func(p Parked) error {
		have[p.Key]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for group := range 1024 {
		shared, err := ledger.DecodeSubject(read(t, s, query(ledger.SubjectFact, "service", "", fmt.Sprint("shared ", group))))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range shared.Environments {
			have[e.ID]++
		}
	}
	for id, n := range have {
		if n != 4 {
			t.Errorf("of batch %s there are %d parts of 4", id, n)
		}
	}
	for _, id := range acknowledged {
		if have[id] == 0 {
			t.Errorf("batch %s was acknowledged and is lost", id)
		}
	}
}

func startChild(t *testing.T, what, path string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+what+":"+path)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "open" {
		t.Fatalf("the child says %q", lines.Text())
	}
	return cmd, lines
}

func TestKilledWhileCommitting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	r := rand.New(rand.NewPCG(5, 6))
	var acknowledged []string
	end := time.Now().Add(4 * time.Second)
	rounds := 0
	// The line of shared environments is written anew by each batch, so it is kept from growing for ever.
	for ; time.Now().Before(end) && len(acknowledged) < 6000; rounds++ {
		cmd, lines := startChild(t, "commit", path)
		timer := time.AfterFunc(time.Duration(r.IntN(120))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		for lines.Scan() {
			id, ok := strings.CutPrefix(lines.Text(), "done ")
			if !ok {
				t.Fatalf("the child says %q", lines.Text())
			}
			acknowledged = append(acknowledged, id)
		}
		_ = cmd.Wait()
		timer.Stop()
		s := mustOpen(t, path, Options{MustExist: true})
		checkCrash(t, s, acknowledged)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			break
		}
	}
	t.Logf("%d acknowledged batches over %d kills", len(acknowledged), rounds)
	if len(acknowledged) == 0 {
		t.Error("nothing was ever acknowledged")
	}
}

// TestPowerFails takes away a random part of what was written and not synced.
func TestPowerFails(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 15 {
		disk := vfs.NewCrashableMem()
		dir := t.TempDir()
		s, err := open(filepath.Join(dir, "ledger"), Options{}, disk)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var acknowledged []string
		var after *vfs.MemFS
		var wg sync.WaitGroup
		crashAt := 20 + r.IntN(150)
		percent := r.IntN(101)
		for writer := range 4 {
			wg.Go(func() {
				for i := range 80 {
					b := crashBatch(fmt.Sprintf("%d-%d", writer, i))
					if err := s.Commit(context.Background(), b); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if after == nil {
						acknowledged = append(acknowledged, b.Park[0].Key)
						if len(acknowledged) == crashAt {
							after = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: r})
						}
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s, err = open(filepath.Join(dir, "ledger"), Options{}, after)
		if err != nil {
			t.Fatalf("with %d%% of what was not synced: %v", percent, err)
		}
		checkCrash(t, s, acknowledged)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTornTail cuts the log at every place.
func TestTornTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	s := mustOpen(t, path, Options{})
	for i := range 20 {
		commit(t, s, crashBatch(fmt.Sprint(i)))
	}
	torn := filepath.Join(t.TempDir(), "torn")
	if err := os.CopyFS(torn, os.DirFS(path)); err != nil { // while it is open: closing ends the log cleanly
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(torn, engineName, "*.log"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("logs: %q %v", logs, err)
	}
	whole, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	for cut := 0; cut < len(whole); cut += 1 + len(whole)/60 {
		trial := filepath.Join(t.TempDir(), "trial")
		if err := os.CopyFS(trial, os.DirFS(torn)); err != nil {
			t.Fatal(err)
		}
		log := filepath.Join(trial, engineName, filepath.Base(logs[0]))
		if err := os.Truncate(log, int64(cut)); err != nil {
			t.Fatal(err)
		}
		if cut%2 == 1 { // a file system may also leave zeros where data should be
			if err := os.Truncate(log, int64(len(whole))); err != nil {
				t.Fatal(err)
			}
		}
		s, err := Open(trial, Options{})
		if err != nil {
			t.Fatalf("cut at %d of %d: %v", cut, len(whole), err)
		}
		checkCrash(t, s, nil)
		commit(t, s, crashBatch("after"))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// fullDisk is a disk that can become full, or break.
type fullDisk struct {
	vfs.FS
	mu  sync.Mutex
	err error
}

func (d *fullDisk) set(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

func (d *fullDisk) get() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

func (d *fullDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := d.get(); err != nil {
		return nil, &os.PathError{Op: "create", Path: name, Err: err}
	}
	f, err := d.FS.Create(name, c)
	return &fullFile{f, d}, err
}

func (d *fullDisk) GetDiskUsage(path string) (vfs.DiskUsage, error) {
	if d.get() != nil {
		return vfs.DiskUsage{}, nil
	}
	return d.FS.GetDiskUsage(path)
}

type fullFile struct {
	vfs.File
	disk *fullDisk
}

func (f *fullFile) Write(b []byte) (int, error) {
	if err := f.disk.get(); err != nil {
		n, _ := f.File.Write(b[:len(b)/2])
		return n, &os.PathError{Op: "write", Path: "log", Err: err}
	}
	return f.File.Write(b)
}

func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	disk := &fullDisk{FS: vfs.Default}
	s, err := open(path, Options{}, disk)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, s, crashBatch("before"))
	disk.set(syscall.ENOSPC)
	waits := make(chan error, 1)
	go func() { waits <- s.Commit(context.Background(), crashBatch("meanwhile")) }()
	for s.fs.waiting.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := s.Commit(context.Background(), crashBatch("refused")); !errors.Is(err, ErrFull) {
		t.Errorf("a commit to a full disk gives %v", err)
	}
	if err := s.Health(); !errors.Is(err, ErrFull) {
		t.Errorf("the health of a ledger on a full disk is %v", err)
	}
	if read(t, s, query(ledger.NameFact, "service", "before")) == nil {
		t.Error("a ledger on a full disk cannot be read")
	}
	disk.set(nil)
	if err := <-waits; err != nil {
		t.Errorf("the commit that waited for room: %v", err)
	}
	if err := s.Health(); err != nil {
		t.Errorf("the health with room again is %v", err)
	}
	commit(t, s, crashBatch("after"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, path, Options{})
	checkCrash(t, s, []string{"before", "meanwhile", "after"})
	if read(t, s, query(ledger.NameFact, "service", "refused")) != nil {
		t.Error("what was refused is there")
	}
}

func TestCloseOnFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	disk := &fullDisk{FS: vfs.Default}
	s, err := open(path, Options{}, disk)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, s, crashBatch("before"))
	disk.set(syscall.ENOSPC)
	waits := make(chan error, 1)
	go func() { waits <- s.Commit(context.Background(), crashBatch("meanwhile")) }()
	for s.fs.waiting.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	closed := s.Close()
	if err := <-waits; err == nil || closed == nil {
		t.Errorf("the commit that never found room: %v; the close: %v", err, closed)
	}
	s = mustOpen(t, path, Options{})
	checkCrash(t, s, []string{"before"})
}

// TestCloseOnFullDiskAtRest has nothing under way, and an engine that would tidy up.
func TestCloseOnFullDiskAtRest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	disk := &fullDisk{FS: vfs.Default}
	s, err := open(path, Options{}, disk)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, s, crashBatch("before"))
	disk.set(syscall.ENOSPC)
	_ = s.Close() // it may say that the log could not be ended in good order
	s = mustOpen(t, path, Options{})
	checkCrash(t, s, []string{"before"})
}

func TestBrokenDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	disk := &fullDisk{FS: vfs.Default}
	s, err := open(path, Options{}, disk)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, s, crashBatch("before"))
	disk.set(syscall.EIO)
	var errs []error
	for i := range 3 {
		errs = append(errs, s.Commit(context.Background(), crashBatch(fmt.Sprint("lost", i))))
	}
	if slices.ContainsFunc(errs, func(err error) bool { return !errors.Is(err, ErrBroken) }) {
		t.Errorf("commits to a broken disk: %v", errs)
	}
	disk.set(nil)
	if err := s.Commit(context.Background(), crashBatch("late")); !errors.Is(err, ErrBroken) {
		t.Errorf("a later commit: %v", err)
	}
	_ = s.Close()
	s = mustOpen(t, path, Options{})
	checkCrash(t, s, []string{"before"})
	commit(t, s, crashBatch("after"))
}
