package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"go.etcd.io/bbolt"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// tree lists what is under a path, with contents and times, to tell that nothing was touched.
func tree(t *testing.T, path string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(path, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		line := fmt.Sprint(p, info.Mode(), info.ModTime())
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			line += string(text)
		}
		list = append(list, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
}

func wantReason(t *testing.T, err error, reason Reason) {
	t.Helper()
	var e *OpenError
	switch {
	case !errors.As(err, &e):
		t.Fatalf("error %v is no OpenError", err)
	case e.Reason != reason:
		t.Fatalf("%v is not %s", err, reason)
	case !strings.Contains(err.Error(), e.Path) || strings.Contains(err.Error(), "\n"):
		t.Fatalf("message: %q", err)
	}
	if errors.Is(err, ErrDamaged) != (reason == Damaged) {
		t.Fatalf("%v and ErrDamaged", err)
	}
}

func TestOpenForeign(t *testing.T) {
	for name, make := range map[string]func(t *testing.T, path string){
		"file":       func(t *testing.T, path string) { write(t, path, "hello") },
		"empty file": func(t *testing.T, path string) { write(t, path, "") },
		"folder":     func(t *testing.T, path string) { write(t, filepath.Join(path, "README"), "hello") },
		"marker of another": func(t *testing.T, path string) {
			write(t, filepath.Join(path, markerName), "Assets 100\n")
			write(t, filepath.Join(path, "2024.txt"), "")
		},
		"marker is a folder":   func(t *testing.T, path string) { write(t, filepath.Join(path, markerName, "x"), "") },
		"large marker":         func(t *testing.T, path string) { write(t, filepath.Join(path, markerName), strings.Repeat("x", 5000)) },
		"folder with a folder": func(t *testing.T, path string) { write(t, filepath.Join(path, engineName, "x"), "") },
		"bbolt": func(t *testing.T, path string) {
			db, err := bbolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		},
		"pebble": func(t *testing.T, path string) {
			db, err := pebble.Open(path, &pebble.Options{Logger: newFile("", Options{}.withDefaults(), nil).log})
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ledger")
			make(t, path)
			before := tree(t, filepath.Dir(path))
			for _, opts := range []Options{{}, {MustExist: true}, {ReadOnly: true}} {
				_, err := Open(path, opts)
				wantReason(t, err, Foreign)
			}
			if !slices.Equal(before, tree(t, filepath.Dir(path))) {
				t.Error("it was touched")
			}
		})
	}
}

func TestOpenNewer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	write(t, filepath.Join(path, markerName), markerMagic+"\nformat 3\nsharded\nmore\n")
	before := tree(t, path)
	_, err := Open(path, Options{})
	wantReason(t, err, Newer)
	if !slices.Equal(before, tree(t, path)) {
		t.Error("it was touched")
	}

	path = filepath.Join(t.TempDir(), "ledger")
	if err := mustOpen(t, path, Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	versions, err := filepath.Glob(filepath.Join(path, engineName, "marker.format-version.*"))
	if err != nil || len(versions) != 1 {
		t.Fatal(versions, err)
	}
	if err := os.Rename(versions[0], filepath.Join(path, engineName, "marker.format-version.000099.999")); err != nil {
		t.Fatal(err)
	}
	_, err = Open(path, Options{})
	wantReason(t, err, Newer)
}

func TestOpenBusy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	s := mustOpen(t, path, Options{})
	for _, opts := range []Options{{}, {ReadOnly: true}} {
		_, err := Open(path, opts)
		wantReason(t, err, Busy)
		if !strings.Contains(err.Error(), "in this process") {
			t.Errorf("message: %v", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	cmd, _ := startChild(t, "hold", path)
	for _, opts := range []Options{{}, {ReadOnly: true}} {
		_, err := Open(path, opts)
		wantReason(t, err, Busy)
		if !strings.Contains(err.Error(), fmt.Sprintf("in process %d", cmd.Process.Pid)) {
			t.Errorf("message: %v", err)
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	mustOpen(t, path, Options{})
}

func TestOpenMissing(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "a", "b", "ledger")
	for _, opts := range []Options{{MustExist: true}, {ReadOnly: true}} {
		if _, err := Open(path, opts); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
			t.Errorf("open: %v", err)
		}
	}
	if entries, err := os.ReadDir(root); err != nil || len(entries) > 0 {
		t.Errorf("it was created: %v %v", entries, err)
	}
	if err := mustOpen(t, path, Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, path, Options{MustExist: true})
	if _, err := Open("", Options{}); err == nil {
		t.Error("an empty path was opened")
	}
	write(t, filepath.Join(root, "file"), "")
	if _, err := Open(filepath.Join(root, "file", "ledger"), Options{}); err == nil {
		t.Error("a folder was made in a file")
	}
}

func TestOpenReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	s := mustOpen(t, path, Options{})
	commit(t, s, crashBatch("1"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before := tree(t, path)
	one, two := mustOpen(t, path, Options{ReadOnly: true}), mustOpen(t, path, Options{ReadOnly: true})
	for _, s := range []*File{one, two} {
		checkCrash(t, s, []string{"1"})
		if err := s.Commit(context.Background(), crashBatch("2")); !errors.Is(err, ErrReadOnly) {
			t.Errorf("commit: %v", err)
		}
		if _, err := s.Sweep(context.Background()); !errors.Is(err, ErrReadOnly) {
			t.Errorf("sweep: %v", err)
		}
	}
	_, err := Open(path, Options{})
	wantReason(t, err, Busy)
	for _, s := range []*File{one, two} {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(before, tree(t, path)) {
		t.Error("it was changed")
	}
}

// TestOpenAfterPartialCreation is what a crash leaves while a ledger is made.
func TestOpenAfterPartialCreation(t *testing.T) {
	for name, make := range map[string]func(path string){
		"folder":    func(path string) { write(t, filepath.Join(path, "x"), ""); os.Remove(filepath.Join(path, "x")) },
		"lock":      func(path string) { write(t, filepath.Join(path, lockName), "1\n") },
		"temporary": func(path string) { write(t, filepath.Join(path, markerName+tempSuffix), "eiff") },
		"engine": func(path string) {
			write(t, filepath.Join(path, markerName), string(markerText(partial)))
			write(t, filepath.Join(path, engineName, "MANIFEST-000001"), "half")
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ledger")
			make(path)
			if _, err := Open(path, Options{MustExist: true}); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("open what must exist: %v", err)
			}
			s := mustOpen(t, path, Options{})
			commit(t, s, crashBatch("1"))
		})
	}
}

// damagedLedger is a closed ledger with tables and a log.
func damagedLedger(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "whole")
	s := mustOpen(t, path, Options{})
	for i := range 30 {
		commit(t, s, crashBatch(fmt.Sprint(i)))
		if i == 10 {
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// tryDamaged opens what may be damaged: it opens or says so, and whatever it then reads is whole or an error.
func tryDamaged(t *testing.T, path string) (opened bool) {
	t.Helper()
	s, err := Open(path, Options{})
	if err != nil {
		var e *OpenError
		if !errors.As(err, &e) || e.Reason == Busy {
			t.Errorf("error %v", err)
		}
		return false
	}
	for _, kind := range ledger.FactKinds() {
		err := s.Scan(context.Background(), kind, func(key string, record []byte) error {
			if problems := checkRecord(ledger.Query{Kind: kind, Key: key}, record); len(problems) > 0 && kind != ledger.EventFact {
				return fmt.Errorf("%s: %s", key, problems)
			}
			return nil
		})
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("scan: %v", err)
		}
	}
	if _, err := Check(context.Background(), s); err != nil {
		t.Errorf("check: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	return true
}

func TestOpenDamaged(t *testing.T) {
	whole := damagedLedger(t)
	var files []string
	err := filepath.WalkDir(whole, func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && e.Name() != lockName {
			rel, _ := filepath.Rel(whole, p)
			files = append(files, rel)
		}
		return err
	})
	if err != nil || len(files) < 6 {
		t.Fatal(files, err)
	}
	dir := t.TempDir()
	trials, refused := 0, 0
	try := func(what string, change func(path string) error) {
		t.Helper()
		trials++
		path := filepath.Join(dir, fmt.Sprint(trials))
		if err := os.CopyFS(path, os.DirFS(whole)); err != nil {
			t.Fatal(err)
		}
		if err := change(path); err != nil {
			t.Fatal(err)
		}
		if !tryDamaged(t, path) {
			refused++
		}
		if t.Failed() {
			t.Fatal(what)
		}
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(9, 10))
	for _, name := range files {
		info, err := os.Stat(filepath.Join(whole, name))
		if err != nil {
			t.Fatal(err)
		}
		size := info.Size()
		cuts := []int64{0, 7, size / 2, size - 1}
		for _, cut := range cuts {
			if cut < 0 || cut >= size {
				continue
			}
			try(fmt.Sprintf("%s cut at %d", name, cut), func(path string) error { return os.Truncate(filepath.Join(path, name), cut) })
		}
		for range min(6, size) {
			at := r.Int64N(size)
			try(fmt.Sprintf("%s flipped at %d", name, at), func(path string) error {
				f, err := os.OpenFile(filepath.Join(path, name), os.O_RDWR, 0)
				if err != nil {
					return err
				}
				var b [1]byte
				_, err = f.ReadAt(b[:], at)
				b[0] ^= 1 << r.IntN(8)
				_, err2 := f.WriteAt(b[:], at)
				return errors.Join(err, err2, f.Close())
			})
		}
		try(name+" zeroed", func(path string) error {
			return os.WriteFile(filepath.Join(path, name), make([]byte, size), 0o640)
		})
		try(name+" removed", func(path string) error { return os.Remove(filepath.Join(path, name)) })
		try(name+" is a folder", func(path string) error {
			return errors.Join(os.Remove(filepath.Join(path, name)), os.Mkdir(filepath.Join(path, name), 0o750))
		})
	}
	try("no engine", func(path string) error { return os.RemoveAll(filepath.Join(path, engineName)) })
	try("empty engine", func(path string) error {
		return errors.Join(os.RemoveAll(filepath.Join(path, engineName)), os.Mkdir(filepath.Join(path, engineName), 0o750))
	})
	try("engine is a file", func(path string) error {
		return errors.Join(os.RemoveAll(filepath.Join(path, engineName)), os.WriteFile(filepath.Join(path, engineName), nil, 0o640))
	})
	t.Logf("%d of %d were refused; the others opened", refused, trials)
	if refused < trials/10 {
		t.Error("hardly any was refused")
	}
}

// TestOpenDamagedIsSaid has the plain cases, whose reason is fixed.
func TestOpenDamagedIsSaid(t *testing.T) {
	whole := damagedLedger(t)
	for name, change := range map[string]func(path string) error{
		"empty marker":   func(path string) error { return os.Truncate(filepath.Join(path, markerName), 0) },
		"half a marker":  func(path string) error { return os.Truncate(filepath.Join(path, markerName), 30) },
		"no marker":      func(path string) error { return os.Remove(filepath.Join(path, markerName)) },
		"no engine":      func(path string) error { return os.RemoveAll(filepath.Join(path, engineName)) },
		"empty manifest": func(path string) error { return truncateAll(path, "MANIFEST-*") },
		"empty tables":   func(path string) error { return truncateAll(path, "*.sst") },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ledger")
			if err := os.CopyFS(path, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			if err := change(path); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path, Options{})
			wantReason(t, err, Damaged)
			_, err = Open(path, Options{ReadOnly: true})
			wantReason(t, err, Damaged)
		})
	}
}

// TestManifestCutOff cuts a manifest wherever one can: the engine alone would open many of these, without their tables.
func TestManifestCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	s := mustOpen(t, path, Options{})
	commit(t, s, crashBatch("one"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	manifests, err := filepath.Glob(filepath.Join(path, engineName, "MANIFEST-*"))
	if err != nil || len(manifests) == 0 {
		t.Fatal(manifests, err)
	}
	manifest := manifests[len(manifests)-1]
	whole, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range whole {
		if err := os.WriteFile(manifest, whole[:cut], 0o640); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path, Options{})
		wantReason(t, err, Damaged)
	}
	if err := os.WriteFile(manifest, whole, 0o640); err != nil {
		t.Fatal(err)
	}
	checkCrash(t, mustOpen(t, path, Options{}), []string{"one"})
}

func truncateAll(path, pattern string) error {
	files, err := filepath.Glob(filepath.Join(path, engineName, pattern))
	if len(files) == 0 {
		return errors.Join(err, errors.New("no such files"))
	}
	for _, f := range files {
		err = errors.Join(err, os.Truncate(f, 0))
	}
	return err
}
