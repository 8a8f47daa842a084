package daemon

import (
	"slices"
	"time"

	"github.com/eiffelbridge/eiffelbridge/daemon/deadletters"
	"github.com/eiffelbridge/eiffelbridge/daemon/ledger"
	"github.com/eiffelbridge/eiffelbridge/plugins/host"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
	"github.com/eiffelbridge/eiffelbridge/translate"
	records "github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// state is where a transaction stands. From committing on nothing can take it back.
type state byte

const (
	stale      state = iota // to be translated (anew)
	translated              // waits for its turn to be published
	publishing              // on its way to the sink, or queued there in its order
	delivered               // all outputs are durable; waits for its predecessors
	committing              // the committer has it
	condemned               // on its way to the dead letters; no longer in the sequence
	finished
)

// transaction is one event in flight: all that follows from it happens, or nothing. It is guarded by its sequencer's lock.
type transaction struct {
	seq      uint64
	relay    *relay
	event    translate.Event
	original []byte // as the source delivered it
	passed   map[string]string
	received time.Time
	trace    *eventTrace // of the first delivery, or of the parked event that goes on
	commit   *span
	again    bool // it is the replay of a dead letter

	settles []*taken     // deliveries that wait for it
	slots   int          // places in the relay that it holds
	parked  *parkedEvent // the parked event that it takes up, or parks
	resumed bool         // it takes one up

	answers *host.Consultation // of plugins; nil where none are asked
	asking  bool               // a plugin is being asked what was asked in the transaction's place only

	state       state
	blind       bool // the ledger could not be read, so nobody knows what it will touch
	keys        []records.Query
	needs       map[*transaction]struct{} // predecessors that are not committing yet
	feeds       map[*transaction]struct{} // the reverse
	outputs     []transport.Message
	learned     []records.Fact
	park        *ledger.Parked
	unpark      bool
	waits       bool      // it is parked, or stays so
	parkBy      time.Time // the deadline that it had when it was translated first
	returns     translate.Returning
	synthesized int                 // outputs
	letter      *deadletters.Letter // it goes to the dead letters
	drop        func()              // ends the attempts to write the letter

	sending   *sending // the publish under way
	confirmed int      // outputs, from the first, that need not be sent again
	attempts  int
	notBefore time.Time // of the next publish or translation
	settleBy  time.Time // zero: no limit
	limit     *alarm    // at settleBy
	outcome   outcome   // what became of it, once that is certain
	err       error     // what rejected it
}

// sending is one attempt to publish.
type sending struct {
	messages []transport.Message
	errs     []error
	done     []bool
	open     int
	handed   bool      // the sink has it, and will answer for each message
	void     bool      // the answer no longer matters
	since    time.Time // handed
	span     *span
}

// need makes t wait for d.
func (t *transaction) need(d *transaction) {
	if d == t || d.state >= committing {
		return
	}
	if t.needs == nil {
		t.needs = map[*transaction]struct{}{}
	}
	if d.feeds == nil {
		d.feeds = map[*transaction]struct{}{}
	}
	t.needs[d] = struct{}{}
	d.feeds[t] = struct{}{}
}

// unlink forgets on whom t waits.
func (t *transaction) unlink() {
	for d := range t.needs {
		delete(d.feeds, t)
	}
	clear(t.needs)
}

// followers are t and all that rests on it, in their order.
func (t *transaction) followers() []*transaction {
	seen := map[*transaction]bool{t: true}
	out := []*transaction{t}
	for i := 0; i < len(out); i++ {
		for f := range out[i].feeds {
			if !seen[f] {
				seen[f] = true
				out = append(out, f)
			}
		}
	}
	inOrder(out)
	return out
}

func inOrder(list []*transaction) {
	slices.SortFunc(list, func(a, b *transaction) int {
		switch {
		case a.seq < b.seq:
			return -1
		case a.seq > b.seq:
			return 1
		}
		return 0
	})
}

// eventKey says which deliveries are the same event.
type eventKey struct {
	relay    string
	protocol translate.Protocol
	source   string
	id       string
	kind     string
}

func keyOf(r *relay, e translate.Event) eventKey {
	return eventKey{r.settings.Name, e.Protocol, e.Source, e.ID, e.Type}
}
