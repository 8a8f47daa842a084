package translate

import (
	"context"
	"errors"
	"fmt"
	"iter"
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

// Session translates events and teaches the ledger what each taught: the loop that most programs need. It is safe for concurrent
// use. Events of which one depends on what another teaches are translated one after the other, all others at the same time; the
// ledger must be safe for concurrent use as well, which every [ledger.Ledger] is.
type Session struct {
	translator Translator
	ledger     ledger.Ledger
	// Unresolved is that of the engine's settings; set another before the first use.
	Unresolved Unresolved

	mu       sync.Mutex // never held while the ledger is asked or an event is translated
	tickets  uint64
	attempts []*attempt // those that have not ended, in the order in which they began
	reading  int        // how many of them are being translated
	commits  uint64     // how many have taught something
	recent   []commit   // those that attempts which are being translated may have overlooked
	spare    []*attempt // for the next calls
}

// Open joins an [Engine] with these settings and an empty ledger in memory, which grows with every event. It is [New], [NewSession]
// and [NewMemoryLedger] in one. An error names the setting or the row of the catalogue at fault.
func Open(settings Settings) (*Session, error) {
	engine, err := New(settings)
	if err != nil {
		return nil, err
	}
	return NewSession(engine, NewMemoryLedger()), nil
}

// NewSession joins a translator and a ledger. The session closes neither. Transactions of one session know of one another; two
// sessions on one ledger are to each other as any writers.
func NewSession(t Translator, ledger ledger.Ledger) *Session {
	s := &Session{translator: t, ledger: ledger}
	if engine, ok := t.(*Engine); ok {
		s.Unresolved = engine.settings.Unresolved
	}
	return s
}

// Ledger is the one that the session was made with.
func (s *Session) Ledger() ledger.Ledger { return s.ledger }

// Translate decodes and translates one event and applies what was learned: [Session.Begin] and [Transaction.Commit] in one, for
// programs that can translate an event again if they lose what it became. Where another writer changes the ledger meanwhile, it
// translates again by itself.
//
// An *[EventError] says that the event can never be translated; any other error is ctx's or the ledger's: nothing was learned then,
// no events are given, and translating the event again gives the same ids.
func (s *Session) Translate(ctx context.Context, text []byte) (Result, error) {
	event, err := Decode(text)
	if err != nil {
		return Result{}, err
	}
	return s.TranslateEvent(ctx, event)
}

// TranslateEvent is Translate for an event that was decoded before.
func (s *Session) TranslateEvent(ctx context.Context, event Event) (Result, error) {
	a := s.borrow()
	defer s.giveBack(a)
	for conflicts := 0; ; conflicts++ {
		result, err := s.begin(ctx, a, event)
		if err != nil {
			return Result{}, err
		}
		if err = s.commit(ctx, a); err == nil {
			return result, nil
		}
		if a.state == open {
			s.end(a, rolledBack)
		}
		if conflicts == maxConflicts || !errors.Is(err, ledger.ErrConflict) {
			return Result{}, named(event.ID, err)
		}
		a.reset()
	}
}

// maxConflicts is how often an event is translated again because of others.
const maxConflicts = 8

// TranslateAll translates one text after the other as [Session.Translate] does, and gives each result as soon as the ledger has
// learned what it taught. An *[EventError] is about that event alone, and the next follows. Any other error is ctx's or the ledger's;
// the iteration ends with it, since later events may depend on this one. A text is not used any more when the next is asked for.
func (s *Session) TranslateAll(ctx context.Context, texts iter.Seq[[]byte]) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		for text := range texts {
			result, err := s.Translate(ctx, text)
			if !yield(result, err) || err != nil && !refused(err) {
				return
			}
		}
	}
}

// NewMemoryLedger is an empty ledger in memory: [ledger.NewMemory].
func NewMemoryLedger() *ledger.Memory { return ledger.NewMemory() }
