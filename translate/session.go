package translate

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// maxRounds bounds the questions of one translation. Four are asked at most by the catalogue; the rest is for
// translators of others.
const maxRounds = 16

// asker is a translator that reads what it lacks itself, so that it need not be asked again.
type asker interface {
	ask(ctx context.Context, in Event, store ledger.Source) (Result, error)
}

// Ask translates one event with what the ledger knows, without teaching it anything. An [Engine] reads the ledger while it
// translates; any other translator is asked again with the answers to its [Result.Need], until there is none.
func Ask(ctx context.Context, t Translator, store ledger.Source, in Event) (Result, error) {
	if a, ok := t.(asker); ok {
		result, err := a.ask(ctx, in, store)
		if err != nil {
			return Result{}, ledgerError(in, err)
		}
		return result, nil
	}
	var facts ledger.Facts
	for range maxRounds {
		result, err := t.Translate(in, &facts)
		if err != nil {
			return Result{}, err
		}
		if len(result.Need) == 0 {
			return result, nil
		}
		records, err := store.Read(ctx, result.Need)
		if err != nil {
			return Result{}, fmt.Errorf("event %s: read the ledger: %w", shorten(in.ID, 80), err)
		}
		for i, q := range result.Need {
			facts.Add(q, records[i].Bytes)
		}
	}
	return Result{}, fmt.Errorf("event %s: the translator still asks after %d rounds", shorten(in.ID, 80), maxRounds)
}

// ledgerError is the error of a translation: one that is not the event's is the ledger's.
func ledgerError(in Event, err error) error {
	if refused(err) {
		return err
	}
	return fmt.Errorf("event %s: read the ledger: %w", shorten(in.ID, 80), err)
}

// refused tells whether an error is the event's.
func refused(err error) bool {
	var e *EventError
	return errors.As(err, &e)
}

// Session translates events one after the other and teaches the ledger what each taught: the loop that most programs
// need. It is safe for concurrent use; it translates one event at a time, since each may depend on the one before.
type Session struct {
	translator Translator
	ledger     ledger.Ledger
	Unresolved Unresolved // that of the engine's settings; set another before the first use

	mu sync.Mutex
}

// NewSession joins a translator and a ledger. The session closes neither.
func NewSession(t Translator, ledger ledger.Ledger) *Session {
	s := &Session{translator: t, ledger: ledger}
	if engine, ok := t.(*Engine); ok {
		s.Unresolved = engine.settings.Unresolved
	}
	return s
}

// Ledger is the one that the session was made with.
func (s *Session) Ledger() ledger.Ledger { return s.ledger }

// Translate decodes and translates one event and applies what was learned. An *[EventError] says that the event can
// never be translated; any other error is the ledger's: nothing was learned then, no events are given, and translating the
// event again gives the same ids.
func (s *Session) Translate(ctx context.Context, text []byte) (Result, error) {
	event, err := Decode(text)
	if err != nil {
		return Result{}, err
	}
	return s.TranslateEvent(ctx, event)
}

// TranslateEvent is Translate for an event that was decoded before.
func (s *Session) TranslateEvent(ctx context.Context, event Event) (Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.translate(ctx, event, s.ledger)
}

// translate translates an event and teaches what it taught.
func (s *Session) translate(ctx context.Context, event Event, to learner) (Result, error) {
	result, err := Ask(ctx, s.translator, to, event)
	if err != nil {
		return Result{}, err
	}
	if s.Unresolved == UnresolvedFail && len(result.Missing) > 0 {
		m := result.Missing[0]
		return Result{}, event.fail(CodeUnresolved, "", fmt.Sprintf("%s is unknown, wanted for %s", m.Name, m.Want))
	}
	if len(result.Learned) > 0 {
		if err := to.Apply(ctx, result.Learned); err != nil {
			return Result{}, fmt.Errorf("event %s: teach the ledger: %w", shorten(event.ID, 80), err)
		}
	}
	return result, nil
}

// NewMemoryLedger is an empty ledger in memory: [ledger.NewMemory].
func NewMemoryLedger() *ledger.Memory { return ledger.NewMemory() }
