// Package translator certifies translators: that what they write is valid, that nothing is lost on the way there and back, that
// the same event always gives the same, and that they account for every field, as package translate promises.
//
// The author of a translator hands its constructor to [Test] and looks at the [Report], or at its Err. In a test, package
// translatortest does so and makes each law a subtest. The kit writes the events itself, of every type and version of both
// protocols ([Generate]); the author may add others:
//
//	func TestConformance(t *testing.T) {
//		cases, err := translator.Generate(translator.Selection{Types: []string{"service.deployed"}})
//		if err != nil {
//			t.Fatal(err)
//		}
//		cases = append(cases, translator.Case{Name: "example", Events: [][]byte{example}})
//		translatortest.Run(t, newTranslator, translator.Options{Cases: cases})
//	}
package translator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/translate"
)

// Constructor makes a translator with settings. The kit asks for several: the defaults, without carrying, with explanation,
// of other editions and specifications. Where it returns an error for any but the defaults, the laws that need these settings
// are skipped, and the report says so. It is called anew for each translator that the kit wants, from one goroutine.
type Constructor func(translate.Settings) (translate.Translator, error)

// Options adjust a run. The zero value tests everything with the standard cases.
type Options struct {
	// Cases are the events; nil means those of Generate(Selection{}).
	Cases []Case
	// Laws are the names of the laws to test; nil means all ([Laws]).
	Laws []string
	// KnownFailures are the laws that the translator breaks, with the reason: "accounting", or "accounting TYPE" for one
	// event type, as the report names it. What is listed must fail, if it is tested at all: a law that holds again is an
	// error, so that the list cannot grow stale.
	KnownFailures map[string]string
	// MaxFindings is how many findings of one type and law the report keeps; it counts all. 0 means 10.
	MaxFindings int
}

// Law is something that every translator promises.
type Law struct {
	Name  string // a word for programs
	About string // for people
	check func(*trial)
}

// Laws are the laws in the order in which they are tested.
func Laws() []Law {
	return []Law{
		{"output", "what is written is valid, compact, of the version asked for, and has the head that is claimed", checkOutput},
		{"links", "links of the output are legal, by type, number and target, and never lead to the event itself", checkLinks},
		{"order", "what is made up stands before what links to it, no link leads to an event that follows, and no id comes twice", checkOrder},
		{"determinism", "the same event and facts give the same, from any instance, however the facts are ordered", checkDeterminism},
		{"input", "the event and the facts are left as they are", checkInput},
		{"idempotence", "an event that comes again gives the same events, at once and later", checkIdempotence},
		{"round_trip", "translated back, an event is what it was, and what was made up gives nothing", checkRoundTrip},
		{"semantics", "without carrying, what is said to be moved exactly comes back, and a translated word is the same again", checkSemantics},
		{"accounting", "every value of the input is in a move or a loss, moves lead to values, and what is said to be carried is", checkAccounting},
	}
}

// Finding is a law that does not hold for an event.
type Finding struct {
	Law     string          `json:"law"`
	Type    string          `json:"type"`    // as in TypeReport
	Version string          `json:"version"` // of the type
	Case    string          `json:"case"`
	Event   int             `json:"event"`             // index in the case
	Pointer string          `json:"pointer,omitempty"` // JSON pointer into the event that the message speaks of; empty for the whole
	Rule    string          `json:"rule"`              // what of the law, a word for programs
	Message string          `json:"message"`
	Input   json.RawMessage `json:"input"` // the event
}

// String is the finding on one line, without the event.
func (f Finding) String() string {
	at := ""
	if f.Pointer != "" {
		at = " at " + f.Pointer
	}
	return fmt.Sprintf("%s: %s %s, case %s, event %d%s: %s [%s]", f.Law, f.Type, f.Version, f.Case, f.Event, at, f.Message, f.Rule)
}

// Tally counts events.
type Tally struct {
	Checked int `json:"checked"` // the law was applied
	Failed  int `json:"failed"`  // of these, it does not hold
	Skipped int `json:"skipped"` // the law was not applied; Report.Skipped says why
}

// TypeReport tells of one event type.
type TypeReport struct {
	Type     string           `json:"type"` // subject.predicate of a CDEvent, meta.type of an Eiffel event
	Protocol string           `json:"protocol"`
	Versions int              `json:"versions"` // how many were tested
	Events   int              `json:"events"`   // how many were translated
	Laws     map[string]Tally `json:"laws"`
}

// Skipped says why a law was not applied.
type Skipped struct {
	Law    string `json:"law"`
	Reason string `json:"reason"`
	Events int    `json:"events"`
}

// Report is what a run found.
type Report struct {
	Cases    int               `json:"cases"`
	Events   int               `json:"events"`
	Types    []TypeReport      `json:"types"`    // CDEvents first, sorted
	Findings []Finding         `json:"findings"` // those of KnownFailures not among them
	Known    []Finding         `json:"known,omitempty"`
	Stale    map[string]string `json:"stale,omitempty"` // known failures that did not fail
	Skipped  []Skipped         `json:"skipped,omitempty"`
}

// Failed tells whether there is anything that should not be.
func (r *Report) Failed() bool { return len(r.Findings) > 0 || len(r.Stale) > 0 }

// Err joins what should not be, an error each; nil if there is nothing.
func (r *Report) Err() error {
	var errs []error
	for _, f := range r.Findings {
		errs = append(errs, fmt.Errorf("%s\n%s", f, f.Input))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Stale)) {
		errs = append(errs, fmt.Errorf("%s: holds, but is listed as a known failure (%s): take it off the list", name, r.Stale[name]))
	}
	return errors.Join(errs...)
}

// Test tests a translator. The error says that there was no test: the constructor refused the defaults, a case has an event
// that is not valid, an option is wrong or ctx has ended. What is wrong with the translator is in the report.
func Test(ctx context.Context, newTranslator Constructor, o Options) (*Report, error) {
	if o.MaxFindings == 0 {
		o.MaxFindings = 10
	}
	laws, err := chosenLaws(o.Laws)
	if err != nil {
		return nil, err
	}
	for name := range o.KnownFailures {
		law, _, _ := strings.Cut(name, " ")
		if _, err := chosenLaws([]string{law}); err != nil {
			return nil, fmt.Errorf("known failure %q: %w", name, err)
		}
	}
	cases := o.Cases
	if cases == nil {
		if cases, err = Generate(Selection{}); err != nil {
			return nil, err
		}
	}
	k := newKit(newTranslator, o, laws)
	if _, err := k.translator(variant{}); err != nil {
		return nil, fmt.Errorf("make a translator with the default settings: %w", err)
	}
	for i := range cases {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := k.run(&cases[i]); err != nil {
			return nil, err
		}
	}
	return k.report(len(cases)), nil
}

func chosenLaws(names []string) ([]Law, error) {
	all := Laws()
	if names == nil {
		return all, nil
	}
	var out []Law
	for _, name := range names {
		at := slices.IndexFunc(all, func(l Law) bool { return l.Name == name })
		if at < 0 {
			var known []string
			for _, l := range all {
				known = append(known, l.Name)
			}
			return nil, fmt.Errorf("there is no law %q; there are %s", name, strings.Join(known, ", "))
		}
		out = append(out, all[at])
	}
	return out, nil
}
