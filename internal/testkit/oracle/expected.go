package oracle

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle/jsontree"
)

// Rule explains differences. What it does not name matches anything; a star stands for any text.
type Rule struct {
	Reason   string `yaml:"reason"`   // why the difference is right
	Kind     string `yaml:"kind"`     // as the report has it: "loss - has_context"
	Stream   string `yaml:"stream"`   // "domain/*"
	Settings string `yaml:"settings"` // "*carry=none*"
	At       string `yaml:"at"`       // "* round"
	Where    string `yaml:"where"`
	Old      string `yaml:"old"`
	New      string `yaml:"new"`

	// Normalise names a normalisation that is applied to both sides before they are compared. Such a rule has no other
	// members but its reason.
	Normalise string `yaml:"normalise"`

	// Rest explains whatever differs later in the same run of a stream as well, since it follows from this.
	Rest bool `yaml:"rest"`
}

// Expected are the rules that explain differences, in order: the first that matches counts.
type Expected struct {
	Rules []Rule `yaml:"rules"`
}

// ReadExpected reads a file of rules.
func ReadExpected(file string) (*Expected, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	e, err := ParseExpected(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return e, nil
}

// ParseExpected reads rules and checks that each has a reason and says something.
func ParseExpected(text []byte) (*Expected, error) {
	e := &Expected{}
	if err := yaml.UnmarshalWithOptions(text, e, yaml.Strict()); err != nil {
		return nil, err
	}
	for i, r := range e.Rules {
		switch bare := (Rule{Reason: r.Reason, Normalise: r.Normalise}); {
		case strings.TrimSpace(r.Reason) == "":
			return nil, fmt.Errorf("rule %d has no reason", i+1)
		case r.Normalise != "" && r != bare:
			return nil, fmt.Errorf("rule %d: a normalisation applies everywhere", i+1)
		case r.Normalise != "" && normalisations[r.Normalise] == nil:
			return nil, fmt.Errorf("rule %d: there is no normalisation %q", i+1, r.Normalise)
		case r.Normalise == "" && r.Kind == "" && r.Stream == "":
			return nil, fmt.Errorf("rule %d: it needs a kind or a stream, or it would explain everything", i+1)
		}
	}
	return e, nil
}

// explain gives the number of the rule that explains a difference, -1 if none does.
func (e *Expected) explain(d *Difference) int {
	return slices.IndexFunc(e.Rules, func(r Rule) bool {
		return r.Normalise == "" && match(r.Kind, d.Kind) && match(r.Stream, d.Stream) && match(r.Settings, d.Settings) && match(r.At, d.At) &&
			match(r.Where, d.Where) && match(r.Old, d.Old) && match(r.New, d.New)
	})
}

// normalise applies all normalisations to both sides and gives the numbers of the rules that changed anything.
func (e *Expected) normalise(old, new *record) (rules []int) {
	for i, r := range e.Rules {
		if r.Normalise == "" {
			continue
		}
		changed := false
		for _, side := range []*record{old, new} {
			if side != nil && normalisations[r.Normalise](side) {
				changed = true
			}
		}
		if changed {
			rules = append(rules, i)
		}
	}
	if rules == nil {
		return nil
	}
	for _, side := range []*record{old, new} { // both are written anew, so that only the values are compared
		if side == nil {
			continue
		}
		for i := range side.Outputs {
			if o := &side.Outputs[i]; o.tree != nil {
				o.JSON = o.tree.String()
			}
		}
	}
	return rules
}

// match tells whether a text fits a pattern in which a star stands for any text. An empty pattern fits everything.
func match(pattern, text string) bool {
	if pattern == "" {
		return true
	}
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	if !strings.HasPrefix(text, parts[0]) {
		return false
	}
	text = text[len(parts[0]):]
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		at := strings.Index(text, part)
		if at < 0 {
			return false
		}
		text = text[at+len(part):]
	}
	return strings.HasSuffix(text, last)
}

// normalisations by name; each tells whether it changed anything.
var normalisations = map[string]func(*record) bool{
	// The mark of a synthesized event is reduced to the member synthesizedFor.
	"synthesized-mark": func(r *record) bool {
		return r.eachTree(func(n *jsontree.Node) bool {
			mark := n.At("synthesizedFor")
			if n.Kind != jsontree.Object || mark == nil || len(n.Items) == 1 {
				return false
			}
			n.Items = []*jsontree.Node{mark}
			return true
		})
	},
	// A mark does not say by which rules it is read.
	"mark-rules": func(r *record) bool {
		return r.eachTree(func(n *jsontree.Node) bool {
			if n.Kind != jsontree.Object || n.At("rules") == nil || n.At("event") == nil && n.At("id") == nil && n.At("synthesizedFor") == nil {
				return false
			}
			n.Remove("rules")
			return true
		})
	},
	// The first runs of a line are left out.
	"first-runs": func(r *record) bool {
		return r.eachTree(func(n *jsontree.Node) bool {
			if n.At("firstRuns") == nil || n.At("entries") == nil {
				return false
			}
			n.Remove("firstRuns")
			return true
		})
	},
	// What a row says about itself is left out.
	"about": func(r *record) bool {
		had := r.About != ""
		r.About = ""
		return had
	},
}

// eachTree calls f for every value of every output and of the learned state, and tells whether it changed any.
func (r *record) eachTree(f func(*jsontree.Node) bool) bool {
	any := false
	apply := func(root *jsontree.Node) {
		root.Walk(func(_ string, n *jsontree.Node) {
			if f(n) {
				any = true
			}
		})
	}
	for i := range r.Outputs {
		if o := &r.Outputs[i]; o.tree != nil {
			apply(o.tree)
		}
	}
	if r.facts != nil {
		apply(r.facts)
	}
	return any
}
