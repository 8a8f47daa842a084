package jsondoc

import (
	"bytes"
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
	d := &Document{buf: make([]byte, 0, len(text)), nodes: make([]node, 0, capacity(text))}
	open, last, deep := int32(-1), int32(-1), 0
	name := node{}
	for {
		kind := t.decoder.PeekKind()
		if kind == '}' || kind == ']' {
			if _, err := t.decoder.ReadToken(); err != nil {
				return nil, err
			}
			d.buf = append(d.buf, byte(kind))
			d.nodes[open].end = int32(len(d.buf))
			last, open = open, d.nodes[open].parent
			deep--
			if open < 0 {
				return d, nil
			}
			continue
		}
		if open >= 0 && last >= 0 && name.keyEnd == 0 {
			d.buf = append(d.buf, ',')
		}
		n := node{parent: open, keyStart: name.keyStart, keyEnd: name.keyEnd, start: int32(len(d.buf)), escapes: name.escapes}
		if open >= 0 && d.nodes[open].kind == Array && last >= 0 {
			n.keyStart = d.nodes[last].keyStart + 1
			n.keyEnd = n.keyStart
		}
		if kind == '{' || kind == '[' {
			if _, err := t.decoder.ReadToken(); err != nil {
				return nil, err
			}
			d.buf = append(d.buf, byte(kind))
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
			d.buf = append(d.buf, value...)
			switch kind {
			case '"':
				n.kind = String
				if bytes.IndexByte(value, '\\') >= 0 {
					n.escapes |= inText
				}
			case '0':
				n.kind = Number
			case 'n':
				n.kind = Null
			default:
				n.kind = Bool
			}
		}
		if open >= 0 && d.nodes[open].kind == Object && name.keyEnd == 0 {
			name = node{keyStart: n.start, keyEnd: int32(len(d.buf))}
			if n.escapes&inText != 0 {
				name.escapes = inName
			}
			d.buf = append(d.buf, ':')
			continue
		}
		name = node{}
		n.end = int32(len(d.buf))
		index := int32(len(d.nodes))
		if last >= 0 {
			d.nodes[last].next = index
		}
		d.nodes = append(d.nodes, n)
		last = index
		if n.kind >= Array {
			open, last = index, -1
		} else if open < 0 {
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
		if !bytes.Equal(ours.buf, theirs.buf) || !slices.EqualFunc(ours.nodes, theirs.nodes, sameNode) || ours.depth != theirs.depth {
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

func sameNode(a, b node) bool {
	// Without a name, both ends are the same, wherever that is.
	if a.keyStart == a.keyEnd && b.keyStart == b.keyEnd {
		a.keyStart, a.keyEnd, b.keyStart, b.keyEnd = 0, 0, 0, 0
	}
	return a == b
}
