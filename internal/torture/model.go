//go:build unix

package torture

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/eiffelbridge/eiffelbridge/translate"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// version is that of the built relay; it stands in what it writes.
const version = "1.0.0"

// expected is an event that must come out.
type expected struct {
	id    string
	of    *input
	line  string // whose order counts: the subject
	place int    // within the line
	sum   [sha256.Size]byte
	other [sha256.Size]byte // what it may be as well; zero: nothing else
}

// model is what the events become, translated one after the other beside the relay.
type model struct {
	ledger  *ledger.Memory
	outputs map[string]*expected
	of      map[*input][]*expected
	refused map[*input]string // the code of its dead letter
}

// newModel translates what is sent. An input for which skip is true never reached the relay.
func newModel(ctx context.Context, settings translate.Settings, w *workload, skip func(*input) bool) (*model, error) {
	settings.Version, settings.Returning = version, translate.ReturningDrop
	engine, err := translate.New(settings)
	if err != nil {
		return nil, err
	}
	m := &model{
		ledger: translate.NewMemoryLedger(), outputs: map[string]*expected{}, of: map[*input][]*expected{}, refused: map[*input]string{},
	}
	session := translate.NewSession(engine, m.ledger)
	places := map[string]int{}
	for _, u := range append([]unit{w.first}, w.units...) {
		for _, in := range u {
			if skip != nil && skip(in) {
				continue
			}
			result, err := session.Translate(ctx, in.body)
			var refused *translate.EventError
			if errors.As(err, &refused) {
				m.refused[in] = refused.Code
				continue
			}
			if err != nil {
				return nil, err
			}
			for _, e := range result.Events {
				if m.outputs[e.ID] != nil {
					return nil, fmt.Errorf("the workload makes %s twice", e.ID)
				}
				about := in.event
				if e.Protocol == translate.CDEvents {
					about = e
				}
				x := &expected{id: e.ID, of: in, line: about.Source + " " + about.Subject, sum: sha256.Sum256(e.JSON)}
				x.place = places[x.line]
				places[x.line]++
				m.outputs[e.ID] = x
				m.of[in] = append(m.of[in], x)
			}
		}
	}
	return m, nil
}
