// Package run is the driver's inside: it translates a corpus and writes what came of it. It is compiled in both trees, so
// it uses only what package translate has had at the base commit and keeps. What may differ between trees is in line.go.
package run

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"strconv"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle/jsontree"
	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle/stream"
	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/mappings/overlay"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// Options say what to write.
type Options struct {
	Every, Offset int             // of the streams, every n-th from that on; 0: all
	Only          map[string]bool // only these blocks, by their number; nil: all
	Name          string          // only streams with this in their name; "": all
	Texts         bool            // the events that went in stand in the records
	Each          bool            // the state is written after each event
	Freeze        *stream.Writer  // where the streams go with everything that went in as text of its own; may be nil
}

// Runner translates a corpus.
type Runner struct {
	out      *bufio.Writer
	options  Options
	overlays map[string]string
	// Reading a catalogue takes longer than most streams, so that engines share it. The name is that of the overlay.
	catalogues map[string]*mappings.Catalogue
	engines    map[string]*translate.Engine
	blocks     int
	streams    int
}

// New returns a runner that writes to w.
func New(w io.Writer, o Options) *Runner {
	return &Runner{out: bufio.NewWriterSize(w, 1<<18), options: o, overlays: map[string]string{},
		catalogues: map[string]*mappings.Catalogue{}, engines: map[string]*translate.Engine{}}
}

// Corpus translates a whole corpus. Every variant of every stream is a block of lines; the last line of a block is "end".
func (r *Runner) Corpus(corpus io.Reader) error {
	err := stream.Read(corpus, func(o stream.Overlay) error {
		r.overlays[o.Name] = o.Text
		if r.options.Freeze != nil {
			return r.options.Freeze.Overlay(o)
		}
		return nil
	}, r.stream)
	if err != nil {
		return err
	}
	return r.out.Flush()
}

func (r *Runner) stream(s *stream.Stream) error {
	r.streams++
	chosen := r.options.Every == 0 || r.streams%r.options.Every == r.options.Offset%r.options.Every
	chosen = chosen && strings.Contains(s.Name, r.options.Name)
	for _, v := range s.Variants {
		r.blocks++
		id := strconv.Itoa(r.blocks)
		if !chosen || r.options.Only != nil && !r.options.Only[id] {
			continue
		}
		if err := r.variant(id, s, v); err != nil {
			return fmt.Errorf("stream %s, %s: %w", s.Name, v, err)
		}
	}
	return nil
}

// settings turns words into settings. An unknown word is an error: nothing may be left out silently.
func (r *Runner) settings(s stream.Settings) (translate.Settings, error) {
	out := translate.Settings{
		Edition: s.Edition, Spec: s.Spec, ServiceIDKey: s.ServiceIDKey, PublishedLevels: s.PublishedLevels, AllQualifiers: s.AllQualifiers,
		Version: s.Version, Explain: s.Explain,
	}
	err := words(&out, s)
	if err == nil {
		out.Catalogue, err = r.catalogue(s.Overlay)
	}
	return out, err
}

func (r *Runner) catalogue(name string) (*mappings.Catalogue, error) {
	c := r.catalogues[name]
	if c != nil {
		return c, nil
	}
	var err error
	if name == "" {
		c, err = mappings.Load()
	} else {
		c, err = overlay.Parse(nil, name, []byte(r.overlays[name]))
	}
	r.catalogues[name] = c
	return c, err
}

func (r *Runner) engine(s stream.Settings) (*translate.Engine, error) {
	key := s.String()
	if g := r.engines[key]; g != nil {
		return g, nil
	}
	settings, err := r.settings(s)
	if err != nil {
		return nil, err
	}
	g, err := translate.New(settings)
	if err != nil {
		return nil, err
	}
	if len(r.engines) > 500 {
		clear(r.engines)
	}
	r.engines[key] = g
	return g, nil
}

// bridge is an engine with a ledger.
type bridge struct {
	settings stream.Settings
	engine   *translate.Engine
	hurt     int
	ledger   *ledger.Memory
	session  *translate.Session
}

func (b *bridge) forget() {
	b.ledger = translate.NewMemoryLedger()
	b.session = translate.NewSession(b.engine, b.ledger)
	if b.hurt > 0 {
		b.session = translate.NewSession(b.engine, hurtLedger{b.ledger, uint64(b.hurt)})
	}
	if b.settings.Unresolved == "fail" {
		b.session.Unresolved = failing
	}
}

// hurtLedger lets some of its records read as damaged: by a hash of their keys, whatever they hold. Lines it leaves alone,
// since trees may write them differently.
type hurtLedger struct {
	*ledger.Memory
	every uint64
}

// hurts tells whether the record under a query reads as damaged.
func (l hurtLedger) hurts(q ledger.Query) bool {
	hash := fnv.New64a()
	fmt.Fprint(hash, q.Kind, q.Key)
	return strings.IndexByte("snaecdpir", byte(q.Kind)) >= 0 && hash.Sum64()>>8%l.every == 0
}

func (r *Runner) bridge(s stream.Settings, hurt int) (*bridge, error) {
	g, err := r.engine(s)
	if err != nil {
		return nil, err
	}
	b := &bridge{settings: s, engine: g, hurt: hurt}
	b.forget()
	return b, nil
}

// block is the run of one variant of one stream.
type block struct {
	*Runner
	variant   stream.Variant
	near, far *bridge
	outputs   [][]translate.Event // by step
	frozen    *stream.Stream
	err       error
	buffer    []byte
}

func (r *Runner) variant(id string, s *stream.Stream, v stream.Variant) error {
	b := &block{Runner: r, variant: v, outputs: make([][]translate.Event, len(s.Steps))}
	var err error
	if b.near, err = r.bridge(v.Near, v.Hurt); err != nil {
		return err
	}
	far := v.Near
	if v.Far != nil {
		far = *v.Far
	}
	if b.far, err = r.bridge(far, v.Hurt); err != nil {
		return err
	}
	if r.options.Freeze != nil {
		b.frozen = &stream.Stream{Name: s.Name + "~" + id, Variants: []stream.Variant{{Near: v.Near, Far: v.Far, Fresh: v.Fresh, Hurt: v.Hurt, Each: v.Each}}}
	}
	head := []byte(`{"block":` + id + `,"stream":`)
	head = jsontree.AppendText(head, s.Name)
	head = jsontree.AppendText(append(head, `,"settings":`...), v.String())
	r.out.Write(append(head, "}\n"...))
	for i := range s.Steps {
		b.step(i, &s.Steps[i])
	}
	if b.err == nil && !v.Fresh {
		b.state("end", "near", b.near)
		b.state("end", "far", b.far)
	}
	r.out.WriteString("end\n")
	if b.frozen != nil && b.err == nil {
		b.err = r.options.Freeze.Stream(b.frozen)
	}
	return b.err
}

// input is what a step puts in: its own text, or what it takes of a former one; false if that gave nothing.
func (b *block) input(s *stream.Step) ([]byte, bool) {
	if s.Take != nil {
		out := b.output(*s.Take)
		if out == nil {
			return nil, false
		}
		return stream.Forge(append([]byte(nil), out.JSON...), s.Forge), true
	}
	text := s.Bytes()
	for _, ref := range s.Refs {
		if out := b.output(ref.Output); out != nil && out.ID != "" {
			text = []byte(strings.ReplaceAll(string(text), ref.ID, strings.Trim(string(jsontree.AppendText(nil, out.ID)), `"`)))
		}
	}
	return text, true
}

func (b *block) output(o stream.Output) *translate.Event {
	if o.Step < 0 || o.Step >= len(b.outputs) || len(b.outputs[o.Step]) == 0 {
		return nil
	}
	outs := b.outputs[o.Step]
	return &outs[(o.Number%len(outs)+len(outs))%len(outs)] // -1 is the last
}

func (b *block) step(i int, s *stream.Step) {
	text, ok := b.input(s)
	at := strconv.Itoa(i)
	if !ok {
		b.out.WriteString(`{"at":"` + at + `","nothing":true}` + "\n")
		return
	}
	if b.variant.Fresh && !s.Keep {
		b.near.forget()
		b.far.forget()
	}
	result := b.translate(at, s.To, text)
	b.outputs[i] = result.Events
	if b.variant.Back {
		for k := range result.Events {
			out := at + "." + strconv.Itoa(k)
			b.translate(out+" empty", stream.Empty, result.Events[k].JSON)
			again := b.translate(out+" far", stream.Far, result.Events[k].JSON)
			if b.variant.Round {
				for n := range again.Events {
					b.translate(out+" far."+strconv.Itoa(n)+" near", stream.Near, again.Events[n].JSON)
				}
			}
		}
	} else if b.variant.Round {
		b.round(at, result, 2)
	}
	if b.variant.Fresh || b.variant.Each || b.options.Each {
		b.state(at, "near", b.near)
		if b.variant.Back {
			b.state(at, "far", b.far)
		}
	}
}

// round lets every output come round to the same bridge, and what comes of that.
func (b *block) round(at string, result translate.Result, times int) {
	if times == 0 {
		return
	}
	for k := range result.Events {
		at := at + "." + strconv.Itoa(k) + " round"
		b.round(at, b.translate(at, stream.Near, result.Events[k].JSON), times-1)
	}
}

// translate translates one event and writes the record of it.
func (b *block) translate(at, to string, text []byte) translate.Result {
	if b.frozen != nil {
		step := stream.Of(append([]byte(nil), text...))
		step.To, step.Keep = to, strings.ContainsAny(at, ". ")
		b.frozen.Steps = append(b.frozen.Steps, step)
	}
	before := string(text)
	var session *translate.Session
	switch to {
	case stream.Far:
		session = b.far.session
	case stream.Empty:
		empty := *b.near
		empty.forget()
		session = empty.session
	default:
		session = b.near.session
	}
	result, err := try(session, text)
	if err == nil && string(text) != before {
		err = errors.New("the translation changed its input")
	}
	b.buffer = b.record(b.buffer[:0], at, text, &result, err)
	b.out.Write(b.buffer)
	return result
}

// try makes an error of a panic, so that one event does not hide the rest.
func try(session *translate.Session, text []byte) (result translate.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			result, err = translate.Result{}, fmt.Errorf("panic: %v", p)
		}
	}()
	return session.Translate(context.Background(), text)
}

// record writes what came of one event as one line of JSON.
func (b *block) record(out []byte, at string, text []byte, result *translate.Result, err error) []byte {
	put := func(name, value string) {
		out = append(out, ',', '"')
		out = append(out, name...)
		out = append(out, '"', ':')
		out = jsontree.AppendText(out, value)
	}
	list := func(name string, n int, each func(i int)) {
		if n == 0 {
			return
		}
		out = append(out, `,"`+name+`":[`...)
		for i := range n {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(out, `{"n":`...)
			out = strconv.AppendInt(out, int64(i), 10)
			each(i)
			out = append(out, '}')
		}
		out = append(out, ']')
	}
	hash := fnv.New64a()
	hash.Write(text)
	out = append(out, `{"at":"`+at+`","input":"`...)
	out = append(strconv.AppendUint(out, hash.Sum64(), 16), '"')
	if b.options.Texts {
		put("text", string(text))
	}
	if err != nil {
		var e *translate.EventError
		out = append(out, `,"error":{"n":0`...)
		if errors.As(err, &e) {
			put("code", e.Code)
			put("id", e.ID)
			put("type", e.Type)
			put("pointer", e.Pointer)
			put("message", e.Message)
		} else {
			put("other", err.Error())
		}
		out = append(out, '}')
	}
	list("outputs", len(result.Events), func(i int) {
		e := &result.Events[i]
		put("json", string(e.JSON))
		put("protocol", e.Protocol.String())
		put("id", e.ID)
		put("source", e.Source)
		put("type", e.Type)
		put("version", e.Version)
		put("subject", e.Subject)
		put("time", strconv.FormatInt(e.Time, 10))
		put("schema", e.Schema)
		put("tag", e.Tag)
		put("domain", e.DomainID)
		put("synthesized", strconv.FormatBool(e.Synthesized))
	})
	list("losses", len(result.Losses), func(i int) {
		l := &result.Losses[i]
		put("reason", l.Reason)
		put("pointer", l.Pointer)
		put("carried", strconv.FormatBool(l.Carried))
	})
	list("diagnostics", len(result.Diagnostics), func(i int) {
		put("code", result.Diagnostics[i].Code)
		put("message", result.Diagnostics[i].Message)
	})
	list("missing", len(result.Missing), func(i int) {
		m := &result.Missing[i]
		put("want", m.Want)
		put("name", m.Name)
		put("kind", m.Query.Kind.String())
		put("key", m.Query.Key)
	})
	list("moves", len(result.Moves), func(i int) {
		m := &result.Moves[i]
		put("from", m.From)
		put("to", m.To)
		put("out", strconv.Itoa(m.Out))
		put("rule", m.Rule)
		put("fidelity", strconv.Itoa(int(m.Fidelity)))
	})
	if len(result.Need) > 0 {
		put("need", fmt.Sprint(result.Need))
	}
	put("row", result.Row)
	put("about", result.About)
	put("returning", returned[result.Returning])
	return append(out, "}\n"...)
}

// state writes what a bridge has learned as one line of JSON.
func (b *block) state(at, whose string, of *bridge) {
	facts, err := state(of.ledger)
	if err != nil {
		b.err = err
		return
	}
	out := append(b.buffer[:0], `{"at":"`+at+`","state":"`+whose+`","facts":{"n":0`...)
	for _, f := range facts {
		out = append(out, ',')
		out = jsontree.AppendText(out, f.kind+" "+f.key)
		out = append(out, ':')
		out = append(out, f.value...)
	}
	out = append(out, "}}\n"...)
	b.out.Write(out)
	b.buffer = out
}
