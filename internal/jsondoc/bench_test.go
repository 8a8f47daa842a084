package jsondoc

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// benchEvents are events as they come, from small to large: a CDEvent, an Eiffel event, an Eiffel event that carries the
// CDEvent, and one that is indented, with text beyond ASCII.
var benchEvents = []string{"cdevent", "eiffel", "carrying", "indented"}

func benchEvent(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "bench", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func BenchmarkParse(b *testing.B) {
	for _, name := range benchEvents {
		text := benchEvent(b, name)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseJSONText(b *testing.B) {
	for _, name := range benchEvents {
		text := benchEvent(b, name)
		b.Run(name, func(b *testing.B) {
			var t tokenizer
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := t.parse(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// tokenizer builds the same document as Parse with the tokens of jsontext, as fast as it can be done: the decoder is used
// again and again. See docs/decisions/0001-json-scanner.md.
type tokenizer struct {
	buffer  bytes.Buffer // which the decoder reads without copying
	decoder jsontext.Decoder
}

func (t *tokenizer) parse(text []byte) (*Document, error) {
	t.buffer = *bytes.NewBuffer(text)
	t.decoder.Reset(&t.buffer)
	buf := make([]byte, 0, len(text))
	d := &Document{nodes: make([]node, 0, capacity(text))}
	open, last, deep := int32(-1), int32(-1), 0
	name := node{}
	for {
		kind := t.decoder.PeekKind()
		if kind == '}' || kind == ']' {
			if _, err := t.decoder.ReadToken(); err != nil {
				return nil, err
			}
			buf = append(buf, byte(kind))
			d.nodes[open].end = int32(len(buf))
			last, open = open, d.nodes[open].parent
			deep--
			if open < 0 {
				d.text = view(buf)
				return d, nil
			}
			continue
		}
		if open >= 0 && last >= 0 && name.marks == 0 {
			buf = append(buf, ',')
		}
		n := node{parent: open, key: name.key, start: int32(len(buf)), marks: name.marks}
		if open >= 0 && d.nodes[open].kind == Array && last >= 0 {
			n.key = d.nodes[last].key + 1
		}
		if kind == '{' || kind == '[' {
			if _, err := t.decoder.ReadToken(); err != nil {
				return nil, err
			}
			buf = append(buf, byte(kind))
			n.kind = Object
			if kind == '[' {
				n.kind = Array
			}
			deep++
			d.depth = max(d.depth, deep)
		} else {
			value, err := t.decoder.ReadValue()
			if err != nil {
				return nil, err
			}
			buf = append(buf, value...)
			switch kind {
			case '"':
				n.kind = String
				if bytes.IndexByte(value, '\\') >= 0 {
					n.marks |= textEscapes
				}
			case '0':
				n.kind = Number
			case 'n':
				n.kind = Null
			default:
				n.kind = Bool
			}
		}
		if open >= 0 && d.nodes[open].kind == Object && name.marks == 0 {
			name = node{key: n.start, marks: named}
			if n.marks&textEscapes != 0 {
				name.marks |= nameEscapes
			}
			buf = append(buf, ':')
			continue
		}
		name = node{}
		n.end = int32(len(buf))
		index := int32(len(d.nodes))
		if last >= 0 {
			d.nodes[last].next = index
		}
		d.nodes = append(d.nodes, n)
		last = index
		if n.kind >= Array {
			open, last = index, -1
		} else if open < 0 {
			d.text = view(buf)
			return d, nil
		}
	}
}

// FuzzDocument holds the document that Parse makes to the one that is made from the tokens of jsontext.
func FuzzDocument(f *testing.F) {
	for _, text := range []string{
		`{}`, `[]`, `1`, ` { "a" : [ ] , "b\u0063" : { "c" : [ null , true , 1.5 ] } } `, "[1,2 ,\t3]", "{\"a\":1,\n\"b\":{\"c\":\"\u00e9\"},\"d\":[[],{}] }",
	} {
		f.Add([]byte(text))
	}
	for _, name := range benchEvents {
		f.Add(benchEvent(f, name))
	}
	var other tokenizer
	f.Fuzz(func(t *testing.T, text []byte) {
		ours, err := Parse(text)
		if err != nil {
			return
		}
		theirs, err := other.parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if ours.text != theirs.text || !slices.Equal(ours.nodes, theirs.nodes) || ours.depth != theirs.depth {
			t.Errorf("%s:\n%+v\n%+v", text, ours, theirs)
		}
	})
}

func TestParseCostsThreeAllocations(t *testing.T) {
	for _, name := range benchEvents {
		text := benchEvent(t, name)
		if n := testing.AllocsPerRun(10, func() {
			if _, err := Parse(text); err != nil {
				t.Error(err)
			}
		}); n > 3 { // the document, its text, its values
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// TestNotPlain holds the judge of eight characters to the table of one.
func TestNotPlain(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		var text [8]byte
		binary.LittleEndian.PutUint64(text[:], 0x6161616161616161)
		for range chance.IntN(4) {
			text[chance.IntN(8)] = byte(chance.IntN(256))
		}
		want := slices.IndexFunc(text[:], func(c byte) bool { return !plain[c] })
		got := bits.TrailingZeros64(notPlain(binary.LittleEndian.Uint64(text[:]))) / 8
		if want < 0 {
			want = 8
		}
		if got != want {
			t.Fatalf("%q: %d, want %d", text, got, want)
		}
	}
}
