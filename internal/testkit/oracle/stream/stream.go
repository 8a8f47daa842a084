// Package stream is the form of the oracle's corpus: streams of events, each with the settings under which it is
// translated. A corpus is written once and read by the drivers of both trees, so it depends on nothing of the product.
package stream

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Settings are those of an engine, in words. The zero value has the defaults.
type Settings struct {
	Edition         string   `json:"edition,omitempty"`
	Spec            string   `json:"spec,omitempty"`
	Carry           string   `json:"carry,omitempty"`      // none
	Synthesize      string   `json:"synthesize,omitempty"` // always, never
	Returning       string   `json:"returning,omitempty"`  // drop, restore, translate
	NoMapping       string   `json:"noMapping,omitempty"`  // refuse, drop
	Unresolved      string   `json:"unresolved,omitempty"` // fail
	ServiceIDKey    string   `json:"serviceIdKey,omitempty"`
	PublishedLevels []string `json:"publishedLevels,omitempty"`
	AllQualifiers   bool     `json:"allQualifiers,omitempty"`
	Version         string   `json:"version,omitempty"`
	Explain         bool     `json:"explain,omitempty"`
	Overlay         string   `json:"overlay,omitempty"` // the name of one in the corpus
}

// String says what differs from the defaults.
func (s Settings) String() string {
	var out []string
	add := func(name, value string) {
		if value != "" {
			out = append(out, name+"="+value)
		}
	}
	add("edition", s.Edition)
	add("spec", s.Spec)
	add("carry", s.Carry)
	add("synthesize", s.Synthesize)
	add("returning", s.Returning)
	add("no_mapping", s.NoMapping)
	add("unresolved", s.Unresolved)
	add("service_id_key", s.ServiceIDKey)
	add("published_levels", strings.Join(s.PublishedLevels, ","))
	if s.AllQualifiers {
		add("all_qualifiers", "true")
	}
	add("version", s.Version)
	if s.Explain {
		add("explain", "true")
	}
	add("overlay", s.Overlay)
	if out == nil {
		return "defaults"
	}
	return strings.Join(out, " ")
}

// Variant is one way to run a stream.
type Variant struct {
	Near Settings  `json:"near"`
	Far  *Settings `json:"far,omitempty"` // of the bridge on the far side; nil: as near

	Fresh bool `json:"fresh,omitempty"` // each event has a ledger of its own
	Back  bool `json:"back,omitempty"`  // every output goes back through an empty ledger and through the far bridge
	Round bool `json:"round,omitempty"` // every output goes back through the same ledger, and what comes of it as well
	Hurt  int  `json:"hurt,omitempty"`  // of the ledger's records, one of that many reads as damaged; 0: none
	Each  bool `json:"each,omitempty"`  // the learned state is written after each event, not only at the end
}

// String names the variant.
func (v Variant) String() string {
	out := v.Near.String()
	if v.Far != nil {
		out += " far(" + v.Far.String() + ")"
	}
	for _, flag := range []struct {
		on   bool
		name string
	}{{v.Fresh, "fresh"}, {v.Back, "back"}, {v.Round, "round"}, {v.Hurt > 0, "hurt"}} {
		if flag.on {
			out += " +" + flag.name
		}
	}
	return out
}

// Where an event goes.
const (
	Near  = ""      // to the bridge
	Far   = "far"   // to another bridge, with a ledger of its own
	Empty = "empty" // to the bridge's engine with an empty ledger
)

// Step is one event of a stream.
type Step struct {
	Text string `json:"text,omitempty"`
	Raw  []byte `json:"raw,omitempty"` // in place of Text, for bytes that are no UTF-8
	To   string `json:"to,omitempty"`

	// Take, if not nil, takes an output of a former step in place of Text, forged by the operations of Forge.
	Take  *Output  `json:"take,omitempty"`
	Forge []string `json:"forge,omitempty"`

	// Refs put the ids of former outputs in the place of ids in Text.
	Refs []Ref `json:"refs,omitempty"`

	// Keep leaves the ledgers as the step before left them, where each event has a ledger of its own.
	Keep bool `json:"keep,omitempty"`
}

// Output names an output of a former step of the stream; the number counts round.
type Output struct {
	Step   int `json:"step"`
	Number int `json:"number,omitempty"`
}

// Ref is an id in a step's text that the id of an output stands for.
type Ref struct {
	ID string `json:"id"`
	Output
}

// Bytes are the step's own bytes.
func (s *Step) Bytes() []byte {
	if s.Raw != nil {
		return s.Raw
	}
	return []byte(s.Text)
}

// Of makes a step of bytes.
func Of(text []byte) Step {
	if utf8.Valid(text) {
		return Step{Text: string(text)}
	}
	return Step{Raw: text}
}

// Stream is a stream of events.
type Stream struct {
	Name     string    `json:"name"`
	Variants []Variant `json:"variants"`
	Steps    []Step    `json:"steps"`
}

// Overlay is a mapping file that settings name.
type Overlay struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

type line struct {
	Overlay *Overlay `json:"overlay,omitempty"`
	Stream  *Stream  `json:"stream,omitempty"`
}

// Writer writes a corpus.
type Writer struct{ e *json.Encoder }

// NewWriter returns a writer to w.
func NewWriter(w io.Writer) *Writer {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return &Writer{e}
}

// Overlay writes an overlay; it must come before the streams that name it.
func (w *Writer) Overlay(o Overlay) error { return w.e.Encode(line{Overlay: &o}) }

// Stream writes a stream.
func (w *Writer) Stream(s *Stream) error { return w.e.Encode(line{Stream: s}) }

// Read reads a corpus and hands out what is in it, in order.
func Read(r io.Reader, overlay func(Overlay) error, each func(*Stream) error) error {
	d := json.NewDecoder(bufio.NewReaderSize(r, 1<<20))
	for n := 1; ; n++ {
		var l line
		err := d.Decode(&l)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("corpus, entry %d: %w", n, err)
		}
		if l.Overlay != nil {
			err = overlay(*l.Overlay)
		}
		if err == nil && l.Stream != nil {
			err = each(l.Stream)
		}
		if err != nil {
			return err
		}
	}
}
