package host

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/eiffelbridge/eiffelbridge/internal/pluginwire"
	"github.com/eiffelbridge/eiffelbridge/plugins/pluginv1"
	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/compose"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// Mode is how a plugin is joined to the translator before it.
type Mode string

// The modes.
const (
	ModeOverride Mode = "override" // the plugin first, the translator if the plugin has no mapping
	ModeFallback Mode = "fallback" // the plugin where the translator has no mapping
	ModeDecorate Mode = "decorate" // the plugin edits the translator's results
)

// Modes lists them.
func Modes() []Mode { return []Mode{ModeOverride, ModeFallback, ModeDecorate} }

// Limits on what one event may become by a plugin; far beyond what is sound.
const (
	maxRounds  = 16
	maxNeed    = 256
	maxOutputs = 1000
	maxNotes   = 10000 // losses, diagnostics, missing references and facts, each
)

// Link is one plugin in a chain.
type Link struct {
	Plugin *Mapping
	Mode   Mode
}

// Chain is a translator with plugins joined to it in their order. It implements [translate.Translator] and waits for the
// plugins then. Where waiting is not allowed, [Chain.Consult] splits asking from translating.
type Chain struct {
	base, refusing translate.Translator
	links          []Link
	explain        bool
}

var _ translate.Translator = (*Chain)(nil)

// NewChain joins plugins to base. Refusing is base with [translate.NoMappingRefuse], by which mode fallback knows what base
// has no mapping for.
func NewChain(base, refusing translate.Translator, links []Link) *Chain {
	return &Chain{base: base, refusing: refusing, links: links}
}

// Explaining gives the same chain, whose plugins are asked for [translate.Result.Moves] as well. Those of what is not the plugins' are
// the base's.
func (c *Chain) Explaining() *Chain {
	explaining := *c
	explaining.explain = true
	return &explaining
}

// Translate implements [translate.Translator]. Each plugin has its own deadline.
func (c *Chain) Translate(in translate.Event, facts *ledger.Facts) (translate.Result, error) {
	return c.Consult().Ask(context.Background()).Translate(in, facts)
}

// Consult begins the translation of one event, for a caller that must not wait while it translates.
func (c *Chain) Consult() *Consultation {
	return &Consultation{chain: c, answers: map[string]answer{}}
}

// ErrUnasked says that a plugin has not been asked yet what [Consultation.Recall] came to; [Consultation.AskOpen] does so.
var ErrUnasked = errors.New("a plugin has not been asked yet")

// Consultation has the answers of the plugins of a chain about one event. A plugin is deterministic, so that an answer
// stands for as long as the question is the same: the event, the facts that the plugin asked for, and what is to be
// decorated. It is safe for concurrent use.
type Consultation struct {
	chain *Chain

	mu      sync.Mutex
	answers map[string]answer
	open    *question // what Recall came to last and has no answer
}

type question struct {
	key    string
	plugin *Mapping
	in     translate.Event
	made   *translate.Result
	item   *pluginv1.DecorateItem
}

type answer struct {
	result translate.Result
	err    error
}

// Ask gives a translator that asks the plugins and waits for them. The error of ctx, and no other, comes back besides
// those of type *[translate.EventError].
func (c *Consultation) Ask(ctx context.Context) translate.Translator { return c.translator(ctx) }

// Recall gives a translator that has the answers so far and never waits: its error is [ErrUnasked] where one is missing.
func (c *Consultation) Recall() translate.Translator {
	var never context.Context // a party without one does not wait
	return c.translator(never)
}

// AskOpen asks what Recall came to last. The error is that of ctx.
func (c *Consultation) AskOpen(ctx context.Context) error {
	c.mu.Lock()
	q := c.open
	c.mu.Unlock()
	if q == nil {
		return nil
	}
	_, err := c.put(ctx, q)
	var event *translate.EventError
	if err != nil && !errors.As(err, &event) {
		return err
	}
	return nil
}

func (c *Consultation) translator(ctx context.Context) translate.Translator {
	// refusing is what a fallback needs of all before it.
	base, refusing := c.chain.base, c.chain.refusing
	for _, link := range c.chain.links {
		p := &party{ctx: ctx, c: c, plugin: link.Plugin}
		switch link.Mode {
		case ModeFallback:
			base = compose.Fallback(refusing, compose.Fallback(p, base))
			refusing = compose.Fallback(refusing, p)
		case ModeDecorate:
			base = compose.Decorate(base, p.decorate)
			refusing = compose.Decorate(refusing, p.decorate)
		default:
			base = compose.Override(base, p)
			refusing = compose.Override(refusing, p)
		}
	}
	return base
}

// party is one plugin in the consultation about one event.
type party struct {
	ctx    context.Context // nil: do not wait
	c      *Consultation
	plugin *Mapping
}

// Translate implements [translate.Translator].
func (p *party) Translate(in translate.Event, facts *ledger.Facts) (translate.Result, error) {
	return p.talk(in, nil, facts)
}

func (p *party) decorate(in translate.Event, made translate.Result, facts *ledger.Facts) (translate.Result, error) {
	return p.talk(in, &made, facts)
}

// talk asks the plugin, with the facts that it wants and no others. They are found out by asking without them first.
func (p *party) talk(in translate.Event, made *translate.Result, facts *ledger.Facts) (translate.Result, error) {
	if d := p.plugin.process.description(); d != nil && !concerns(d, &in) {
		if made != nil {
			return *made, nil
		}
		return translate.Result{}, &translate.EventError{Code: translate.CodeNoMapping, ID: in.ID, Type: in.Type, Message: "the plugin does not translate this type"}
	}
	var edited *pluginv1.TranslateResult
	if made != nil {
		bare := *made
		bare.Moves = nil // they are kept here
		_, bare.Learned = forgotten(made.Learned)
		edited = pluginwire.FromResult(bare, nil)
	}
	var given []ledger.Fact
	for range maxRounds {
		// The event is the same in all of one consultation.
		item := &pluginv1.DecorateItem{Item: &pluginv1.TranslateItem{Facts: pluginwire.FromFacts(given), Explain: p.c.chain.explain}, Result: edited}
		key, err := proto.MarshalOptions{Deterministic: true}.Marshal(item)
		if err != nil {
			return translate.Result{}, eventError(&in, translate.CodeInvalidOutput, err.Error())
		}
		item.Item.Event = in.JSON
		q := &question{key: p.plugin.process.Name() + "\x00" + string(key), plugin: p.plugin, in: in, made: made, item: item}
		result, err := p.answer(q)
		if err != nil {
			return result, err
		}
		if len(result.Need) == 0 {
			learned, unknown := spreadLines(result.Learned, facts)
			if len(unknown) > 0 {
				return translate.Result{Need: unknown}, nil
			}
			result.Learned = learned
			if made != nil {
				result = withMade(result, made)
			}
			return result, nil
		}
		var unknown []ledger.Query
		for _, query := range result.Need {
			for _, g := range given {
				if g.Query == query {
					return translate.Result{}, p.lied(&in, fmt.Sprintf("it asks again for the %s %s, which it has been told", query.Kind, query.Key))
				}
			}
			record, lacks := answerOf(query, facts)
			unknown = append(unknown, lacks...)
			given = append(given, ledger.Fact{Query: query, Record: record})
		}
		if len(unknown) > 0 {
			return translate.Result{Need: unknown}, nil
		}
	}
	return translate.Result{}, p.lied(&in, fmt.Sprintf("it still asks after %d rounds", maxRounds))
}

// withMade keeps of the decorated result what does not go through the plugin.
func withMade(result translate.Result, made *translate.Result) translate.Result {
	result.Row, result.About, result.Moves = made.Row, made.About, made.Moves
	forget, _ := forgotten(made.Learned)
	result.Learned = append(result.Learned, forget...)
	return result
}

func (p *party) lied(in *translate.Event, message string) *translate.EventError {
	return eventError(in, translate.CodeInvalidOutput, fmt.Sprintf("plugin %s: %s", p.plugin.process.Name(), message))
}

func eventError(in *translate.Event, code, message string) *translate.EventError {
	return &translate.EventError{Code: code, ID: in.ID, Type: in.Type, Message: message}
}

// answer gives the answer to a question: the one that there is, or else the plugin's.
func (p *party) answer(q *question) (translate.Result, error) {
	p.c.mu.Lock()
	a, ok := p.c.answers[q.key]
	if !ok && p.ctx == nil {
		p.c.open = q
	}
	p.c.mu.Unlock()
	if ok {
		return a.result, a.err
	}
	if p.ctx == nil {
		return translate.Result{}, ErrUnasked
	}
	return p.c.put(p.ctx, q)
}

// put asks the plugin and keeps the answer.
func (c *Consultation) put(ctx context.Context, q *question) (translate.Result, error) {
	raw, err := q.plugin.ask(ctx, q.item)
	var a answer
	var event *translate.EventError
	switch {
	case err == nil:
		a.result, a.err = q.read(raw)
	case errors.As(err, &event):
		e := *event
		e.ID, e.Type = q.in.ID, q.in.Type
		a.err = &e
	default:
		return translate.Result{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers[q.key] = a
	if c.open == q {
		c.open = nil
	}
	return a.result, a.err
}

// read makes a result of the plugin's message, if it is one that can be believed.
func (q *question) read(raw *pluginv1.TranslateResult) (translate.Result, error) {
	name := q.plugin.process.Name()
	bad := func(format string, args ...any) (translate.Result, error) {
		q.plugin.failed.Add(1)
		return translate.Result{}, eventError(&q.in, translate.CodeInvalidOutput, fmt.Sprintf("plugin %s: %s", name, fmt.Sprintf(format, args...)))
	}
	if e := raw.GetError(); e != nil {
		if len(raw.GetEvents())+len(raw.GetNeed()) > 0 {
			return bad("it gave an error and a result at once")
		}
		if e.GetCode() == "" {
			return bad("it gave an error without a code: %s", clip(e.GetMessage()))
		}
	}
	if raw != nil && !q.item.GetItem().GetExplain() {
		raw.Moves = nil // nobody asked, and nobody is hurt if they are wrong
	}
	result, err := pluginwire.ToResult(q.in, raw)
	var event *translate.EventError
	if errors.As(err, &event) && raw.GetError() != nil {
		if event.Code != translate.CodeNoMapping {
			event.Message = fmt.Sprintf("plugin %s: %s", name, event.Message)
		}
		return translate.Result{}, event
	}
	switch {
	case err != nil:
		return bad("%v", err)
	case len(result.Need) > maxNeed:
		return bad("it asks %d questions at once", len(result.Need))
	case len(result.Need) > 0:
		return translate.Result{Need: result.Need}, nil
	case len(result.Events) > maxOutputs:
		return bad("it made %d events of one", len(result.Events))
	case len(result.Losses) > maxNotes, len(result.Diagnostics) > maxNotes, len(result.Missing) > maxNotes, len(result.Learned) > maxNotes, len(result.Moves) > maxNotes:
		return bad("its result has more than %d losses, diagnostics, missing references, facts or moves", maxNotes)
	case result.Returning == translate.ReturningDrop && len(result.Events) > 0:
		return bad("it dropped the event as one that came round, and made others of it")
	}
	type identity struct{ source, id string }
	seen := map[identity]bool{}
	for _, out := range result.Events {
		if err := q.in.CheckOutput(out); err != nil {
			return bad("%s", err.Message)
		}
		who := identity{out.Source, out.ID}
		if out.Protocol == translate.Eiffel {
			who.source = ""
		}
		if seen[who] {
			return bad("two output events have the id %s", clip(out.ID))
		}
		seen[who] = true
	}
	for _, f := range result.Learned {
		if err := f.Check(); err != nil {
			return bad("what it learned is no fact: %v", err)
		}
	}
	if q.made != nil {
		// What the bridge made is what the ledger will remember: a decorator edits it and adds to it.
		for _, e := range q.made.Events {
			found := false
			for _, out := range result.Events {
				found = found || out.ID == e.ID && out.Type == e.Type && out.Source == e.Source
			}
			if !found {
				return bad("the decorated result lacks the event %s (%s), or gives it another id, type or source", clip(e.ID), clip(e.Type))
			}
		}
	}
	if result.Returning == "" {
		for _, f := range q.in.Emitted(result.Events) {
			known := false
			for _, l := range result.Learned {
				known = known || l.Query == f.Query
			}
			if !known {
				result.Learned = append(result.Learned, f)
			}
		}
	}
	if q.made == nil && len(result.Events) > 0 {
		result.Row, result.About = "plugin "+name, "translated by the plugin "+name
	}
	return result, nil
}
