package ledger

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// oldDay is when the ledger in testdata/format1 was written.
const oldDay = 20787

func unzip(t *testing.T, name string) []byte {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "format1", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// oldLedger unpacks a ledger that an earlier version wrote, as its killed process left it.
func oldLedger(t *testing.T) (path string) {
	t.Helper()
	dir := t.TempDir()
	files := 0
	for r := tar.NewReader(bytes.NewReader(unzip(t, "ledger.tar.gz"))); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			files++
			write(t, filepath.Join(dir, h.Name), string(text))
		}
	}
	if files < 8 {
		t.Fatalf("the old ledger has %d files", files)
	}
	return filepath.Join(dir, "ledger")
}

// isOld holds a store to the dump that the earlier version made of the same ledger.
func isOld(t *testing.T, s Store) {
	t.Helper()
	entry := func(key []any) string { return fmt.Sprintf("%q", key[:4]) }
	type line struct {
		Kind  string
		Key   any
		Value any
	}
	parse := func(dump string, f func(text string, l line)) {
		for text := range strings.Lines(dump) {
			var l line
			if err := json.Unmarshal([]byte(text), &l); err != nil {
				t.Fatal(err)
			}
			f(text, l)
		}
	}
	var want, got []string
	histories := map[string]map[string]any{}
	parse(string(unzip(t, "dump.jsonl.gz")), func(text string, l line) {
		switch l.Kind {
		case "":
		case "line":
			histories[entry(l.Key.([]any))] = l.Value.(map[string]any)
		default:
			want = append(want, text)
		}
	})
	if len(want) < 600 || len(histories) != 2 {
		t.Fatalf("the old dump has %d records and %d lines", len(want), len(histories))
	}
	entries, firstRuns, heads := map[string][]any{}, map[string][]any{}, map[string]map[string]any{}
	parse(export(t, s), func(text string, l line) {
		switch l.Kind {
		case "":
		case "line":
			heads[entry(l.Key.([]any))] = l.Value.(map[string]any)
		case "entry":
			key := entry(l.Key.([]any))
			entries[key] = append(entries[key], l.Value)
		case "firstrun":
			l.Value.(map[string]any)["artifact"] = l.Key.([]any)[4]
			key := entry(l.Key.([]any))
			firstRuns[key] = append(firstRuns[key], l.Value)
		default:
			got = append(got, text)
		}
	})
	if !slices.Equal(got, want) {
		t.Fatalf("there are %d records besides histories, and there were %d, or they differ", len(got), len(want))
	}
	if len(heads) != len(histories) || len(entries) != len(histories) {
		t.Fatalf("there are %d heads and entries of %d lines, and there were %d lines", len(heads), len(entries), len(histories))
	}
	most := 0
	for key, old := range histories {
		was := old["entries"].([]any)
		most = max(most, len(was))
		if !reflect.DeepEqual(entries[key], was) {
			t.Errorf("the entries of %s are\n%v\nand were\n%v", key, entries[key], was)
		}
		if h := heads[key]; h["entries"] != float64(len(was)) || !reflect.DeepEqual(h["last"], was[len(was)-1]) {
			t.Errorf("the head of %s is %v", key, h)
		}
		runs, _ := old["firstRuns"].([]any)
		artifact := func(r any) string { return r.(map[string]any)["artifact"].(string) }
		slices.SortFunc(runs, func(a, b any) int { return strings.Compare(artifact(a), artifact(b)) })
		if !reflect.DeepEqual(firstRuns[key], runs) {
			t.Errorf("the first runs of %s are\n%v\nand were\n%v", key, firstRuns[key], runs)
		}
	}
	if most <= records.LineLength {
		t.Errorf("the longest line has %d entries", most)
	}
	if findings, err := Check(t.Context(), s); err != nil || len(findings) > 0 {
		t.Errorf("check: %v %v", findings, err)
	}
}

func TestConvert(t *testing.T) {
	path := oldLedger(t)
	var log bytes.Buffer
	opts := Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	s := mustOpen(t, path, opts)
	isOld(t, s)
	if n := strings.Count(log.String(), "\n"); n != 2 || !strings.Contains(log.String(), "converting the ledger") || !strings.Contains(log.String(), "is converted") {
		t.Errorf("logged:\n%s", log.String())
	}
	// Records are as old as they were.
	for _, kind := range records.FactKinds() {
		if err := s.each(t.Context(), byte(kind), func(key string, d dated) error {
			if d.day != oldDay || d.revision == 0 {
				t.Errorf("%s %s is of day %d and has revision %d", kind, key, d.day, d.revision)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	converted := export(t, s)
	if _, err := os.Stat(filepath.Join(path, oldEngineName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old engine is still there: %v", err)
	}
	// What is learned from now on has revisions that nothing had.
	q := query(records.NameFact, "a", "b")
	commit(t, s, Batch{Facts: []records.Fact{{Query: q, Record: records.Set{"c"}.Encode()}}})
	answers, err := s.Read(t.Context(), []records.Query{q})
	if err != nil || answers[0].Revision < 2 {
		t.Errorf("a new record is %+v, %v", answers, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	log.Reset()
	s = mustOpen(t, path, opts)
	if log.Len() > 0 {
		t.Errorf("opened again, it logs\n%s", log.String())
	}
	if read(t, s, q) == nil {
		t.Error("what was learned after the conversion is gone")
	}

	dump := string(unzip(t, "dump.jsonl.gz"))
	eachStore(t, func(t *testing.T, imported Store) {
		for _, merge := range []bool{false, true} {
			if err := Import(t.Context(), imported, strings.NewReader(dump), ImportSettings{Merge: merge}); err != nil {
				t.Fatal(err)
			}
			isOld(t, imported)
			if export(t, imported) != converted {
				t.Error("the old dump and the old ledger became different ones")
			}
		}
	})
}

// TestConvertReadOnly: what may not be written is converted in memory.
func TestConvertReadOnly(t *testing.T) {
	path := oldLedger(t)
	mustOpen(t, oldLedger(t), Options{MustExist: true})
	before := tree(t, path)
	for range 2 {
		s := mustOpen(t, path, Options{ReadOnly: true})
		isOld(t, s)
		if err := s.Commit(t.Context(), crashBatch("1")); !errors.Is(err, ErrReadOnly) {
			t.Errorf("commit: %v", err)
		}
	}
	if !slices.Equal(before, tree(t, path)) {
		t.Error("it was changed")
	}
}

// TestConvertAgain has what a crash leaves before the end of a conversion, and behind it.
func TestConvertAgain(t *testing.T) {
	for name, leave := range map[string]func(t *testing.T, path string){
		"half an engine": func(t *testing.T, path string) {
			write(t, filepath.Join(path, engineName, "MANIFEST-000001"), "half")
		},
		"another engine": func(t *testing.T, path string) {
			other := filepath.Join(t.TempDir(), "ledger")
			s := mustOpen(t, other, Options{})
			commit(t, s, crashBatch("another"))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(filepath.Join(path, engineName), os.DirFS(filepath.Join(other, engineName))); err != nil {
				t.Fatal(err)
			}
		},
		"a temporary marker": func(t *testing.T, path string) { write(t, filepath.Join(path, markerName+tempSuffix), "eiff") },
		"the old engine": func(t *testing.T, path string) {
			if err := mustOpen(t, path, Options{}).Close(); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(path, oldEngineName, "MANIFEST-000001"), "of no use any more")
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := oldLedger(t)
			leave(t, path)
			isOld(t, mustOpen(t, path, Options{ReadOnly: true}))
		})
		t.Run(name+", for writing", func(t *testing.T) {
			path := oldLedger(t)
			leave(t, path)
			isOld(t, mustOpen(t, path, Options{}))
			if _, err := os.Stat(filepath.Join(path, oldEngineName)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the old engine is still there: %v", err)
			}
		})
	}
}

// failingDisk fails at one of its writes, and from then on, for as long as a ledger is being converted.
type failingDisk struct {
	fullDisk
	path string
	left atomic.Int64
}

func (d *failingDisk) count() {
	if state, err := inspect(d.path); d.left.Add(-1) < 0 && err == nil && state == older {
		d.set(syscall.EIO)
	}
}

func (d *failingDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	d.count()
	f, err := d.fullDisk.Create(name, c)
	return &failingFile{f, d}, err
}

type failingFile struct {
	vfs.File
	disk *failingDisk
}

func (f *failingFile) Write(b []byte) (int, error) {
	f.disk.count()
	return f.File.Write(b)
}

// TestConvertOnFailingDisk fails a conversion at every of its writes: it says so, and the next open begins anew.
func TestConvertOnFailingDisk(t *testing.T) {
	failed := 0
	for writes := int64(0); ; writes++ {
		path := oldLedger(t)
		disk := &failingDisk{fullDisk: fullDisk{FS: vfs.Default}, path: path}
		disk.left.Store(writes)
		s, err := open(path, Options{}, disk)
		whole := err == nil && disk.get() == nil
		if err == nil {
			if err := s.Close(); err != nil && whole {
				t.Error(err)
			}
		} else {
			failed++
		}
		isOld(t, mustOpen(t, path, Options{}))
		if t.Failed() {
			t.Fatalf("after %d writes", writes)
		}
		if whole {
			break
		}
	}
	t.Logf("%d conversions failed", failed)
	if failed < 5 {
		t.Error("hardly any conversion failed")
	}
}

// TestConvertAndPowerFails takes away what a conversion has not synced, once the marker has turned over.
func TestConvertAndPowerFails(t *testing.T) {
	path := oldLedger(t)
	disk := vfs.NewCrashableMem()
	if _, err := vfs.Clone(vfs.Default, disk, filepath.Join(path, oldEngineName), filepath.Join(path, oldEngineName), vfs.CloneSync); err != nil {
		t.Fatal(err)
	}
	for folder := path; ; folder = filepath.Dir(folder) { // the ledger was there before
		d, err := disk.OpenDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(d.Sync(), d.Close()); err != nil {
			t.Fatal(err)
		}
		if folder == filepath.Dir(folder) {
			break
		}
	}
	s, err := open(path, Options{}, disk)
	if err != nil {
		t.Fatal(err)
	}
	after := disk.CrashClone(vfs.CrashCloneCfg{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err = open(path, Options{}, after)
	if err != nil {
		t.Fatal(err)
	}
	isOld(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestConvertDamaged: an old ledger that cannot be read is left as it is, and so is one damaged record.
func TestConvertDamaged(t *testing.T) {
	for name, damage := range map[string]func(table string) error{
		"cut": func(table string) error { return os.Truncate(table, 100) },
		"flipped": func(table string) error {
			text, err := os.ReadFile(table)
			if err != nil {
				return err
			}
			text[100] ^= 1
			return os.WriteFile(table, text, 0o640)
		},
	} {
		path := oldLedger(t)
		tables, err := filepath.Glob(filepath.Join(path, oldEngineName, "*.sst"))
		if err != nil || len(tables) == 0 {
			t.Fatal(tables, err)
		}
		for _, table := range tables {
			if err := damage(table); err != nil {
				t.Fatal(err)
			}
		}
		before := tree(t, filepath.Join(path, oldEngineName))
		for _, opts := range []Options{{ReadOnly: true}, {}} {
			_, err := Open(path, opts)
			wantReason(t, err, Damaged)
		}
		if !slices.Equal(before, tree(t, filepath.Join(path, oldEngineName))) {
			t.Errorf("%s: it was touched", name)
		}
	}

	path := oldLedger(t)
	old, err := newFile(path, Options{}.withDefaults(), vfs.Default).openOld(vfs.Default)
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	o := engineOptions(&patientFS{FS: vfs.Default, log: slog.New(slog.DiscardHandler)}, newFile(path, Options{}.withDefaults(), vfs.Default).log, false)
	o.Merger = &pebble.Merger{Name: "eiffelbridge.translate.1", Merge: newOldUnion}
	if old, err = pebble.Open(filepath.Join(path, oldEngineName), o); err != nil {
		t.Fatal(err)
	}
	q := query(records.LineFact, "a", "b", "c", "d")
	damaged := (&records.Line{Entries: []records.Entry{{Stamp: records.Stamp{Time: 1, ID: "x"}, Removed: true}}}).Encode()
	damaged = append(damaged, 0x12, 2, 0x20, 9) // an entry of an artifact that is not there
	if err := errors.Join(old.Set(appendKey(nil, q), append([]byte{1, 0}, damaged...), nil), old.Close()); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, path, Options{})
	if got := read(t, s, q); !bytes.Equal(got, damaged) {
		t.Errorf("the damaged record became %x", got)
	}
	findings, err := Check(context.Background(), s)
	if err != nil || len(findings) != 1 || findings[0].Key != q.Key {
		t.Errorf("check: %v %v", findings, err)
	}
}
