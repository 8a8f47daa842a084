package translate

import (
	"context"
	"fmt"
	"sync"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// Engine carries out the catalogue, both ways. It is immutable and safe for concurrent use.
type Engine struct {
	settings     Settings
	serializer   string
	toEiffel     map[string][]*rowToEiffel   // by subject.predicate
	toCDEvents   map[string][]*rowToCDEvents // by Eiffel event type
	eiffel       map[string]*eiffelOutput    // by Eiffel event type
	vocabularies map[string]*vocabulary
	anchors      map[string]*anchor // by Eiffel event type
	levels       []mappings.Level
	rules        [len(ruleNames)]string
	specVersion  string // the full version of CDEvents that is written

	rooms   sync.Pool   // of *room
	leaving func(*room) // what a test does to a room that is left
}

var _ Translator = (*Engine)(nil)

// New binds the catalogue to the settings. An error names the setting or the row at fault.
func New(settings Settings) (*Engine, error) {
	if err := settings.complete(); err != nil {
		return nil, err
	}
	g := &Engine{settings: settings, serializer: serializerPrefix + settings.Version}
	g.specVersion, _ = schema.SpecVersion(settings.Spec)
	if err := g.plan(settings.Catalogue); err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	return g, nil
}

// Settings are those that the engine was made with, defaults filled in.
func (g *Engine) Settings() Settings { return g.settings }

// Translate implements [Translator]: a CDEvent becomes Eiffel events and an Eiffel event a CDEvent.
func (g *Engine) Translate(in Event, facts *ledger.Facts) (Result, error) {
	return g.translate(in, source{facts: facts})
}

// ask is Translate with a ledger at hand: what the translation lacks is read when it is asked for, so that it is carried
// out once. An error that is no *[EventError] is the ledger's.
func (g *Engine) ask(ctx context.Context, in Event, store ledger.Source) (Result, error) {
	return g.translate(in, source{ctx: ctx, store: store})
}

func (g *Engine) translate(in Event, from source) (Result, error) {
	if in.document() == nil {
		return Result{}, &EventError{Code: CodeNotEvent, Message: "the event was not decoded; use Decode"}
	}
	s, err := validate(&in)
	if err != nil {
		return Result{}, err
	}
	if err := checkLengths(&in); err != nil {
		return Result{}, err
	}
	if in.Protocol == CDEvents {
		return g.translateToEiffel(in, s, from)
	}
	return g.translateToCDEvents(in, from)
}
