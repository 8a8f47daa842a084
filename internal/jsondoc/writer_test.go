package jsondoc

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// TestWriter writes documents of every form, with pieces of others, and parses what was written: the values must be the same.
func TestWriter(t *testing.T) {
	var w Writer // each document in the memory of the one before
	for seed := range uint64(2000) {
		chance := rand.New(rand.NewPCG(seed, 1))
		w.Start(0, 0)
		writeAny(&w, chance, 4)
		checkSame(t, w.Document())
		if t.Failed() {
			t.Fatalf("seed %d: %s", seed, w.Document().Bytes())
		}
	}
}

var texts = []string{"", "a", "plain text", "quote \" and \\", "line\nfeed", "\u00e9\u2028", "bad \xff utf8", "\x00", "/~", "source"}

func writeAny(w *Writer, chance *rand.Rand, depth int) {
	text := func() string { return texts[chance.IntN(len(texts))] }
	kind := chance.IntN(8)
	if depth == 0 {
		kind = chance.IntN(5)
	}
	switch kind {
	case 0, 1:
		w.String(text())
	case 2:
		w.Int(chance.Int64() - 1<<62)
	case 3:
		w.Timestamp(chance.Int64N(lastMilli))
	case 4:
		if err := w.JSON([]byte(`[null,{"\u0061\n":[true, "x\ty"] ,"b":-1.50e3},"\u00e9"]`)); err != nil {
			panic(err)
		}
	case 5:
		w.Array()
		for range chance.IntN(4) {
			writeAny(w, chance, depth-1)
		}
		w.Close()
	default:
		w.Object()
		for i := range chance.IntN(5) {
			w.Name(fmt.Sprint(i, text()))
			if i == 2 {
				var part Writer
				part.Start(0, 0)
				writeAny(&part, chance, depth-1)
				values := part.Document()
				w.Splice(Value{values, int32(chance.IntN(values.Len()))})
				continue
			}
			writeAny(w, chance, depth-1)
		}
		w.Close()
	}
}

const lastMilli = 253402300799999

// checkSame compares a document with what its text reads as, and each of its values as a document of its own.
func checkSame(t *testing.T, d *Document) {
	t.Helper()
	read, err := Parse(d.Bytes())
	if err != nil {
		t.Fatalf("what was written is no JSON: %v", err)
	}
	if string(read.Bytes()) != string(d.Bytes()) || read.Len() != d.Len() || read.Depth() > d.Depth() {
		t.Errorf("%d values %d deep, want %d values at least %d deep as in %s", d.Len(), d.Depth(), read.Len(), read.Depth(), read.Bytes())
		return
	}
	for i := range d.nodes {
		got, want := Value{d, int32(i)}, Value{read, int32(i)}
		if got.Kind() != want.Kind() || got.Key() != want.Key() || got.Str() != want.Str() || got.Pointer() != want.Pointer() ||
			string(got.Raw()) != string(want.Raw()) || d.nodes[i].parent != read.nodes[i].parent || d.nodes[i].next != read.nodes[i].next {
			t.Errorf("value %d is %q %q at %s, want %q %q at %s", i, got.Key(), got.Raw(), got.Pointer(), want.Key(), want.Raw(), want.Pointer())
		}
		own := got.Document()
		again, err := Parse(got.Raw())
		if err != nil || own.Len() != again.Len() || own.Depth() > d.Depth() {
			t.Errorf("value %d by itself: %d values %d deep of %s: %v", i, own.Len(), own.Depth(), got.Raw(), err)
			continue
		}
		for j := range own.nodes {
			if a, b := (Value{own, int32(j)}), (Value{again, int32(j)}); a.Pointer() != b.Pointer() || string(a.Raw()) != string(b.Raw()) || a.Str() != b.Str() {
				t.Errorf("value %d by itself has %q at %s, want %q at %s", i, a.Raw(), a.Pointer(), b.Raw(), b.Pointer())
			}
		}
	}
}

func TestAppendTimestamp(t *testing.T) {
	chance := rand.New(rand.NewPCG(3, 4))
	const firstMilli = -62167219200000
	for i := range 100_000 {
		ms := firstMilli + chance.Int64N(lastMilli-firstMilli+1)
		switch i {
		case 0:
			ms = firstMilli
		case 1:
			ms = lastMilli
		}
		if got, want := string(AppendTimestamp(nil, ms)), time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z"); got != want {
			t.Fatalf("%d: %s, want %s", ms, got, want)
		}
	}
}
