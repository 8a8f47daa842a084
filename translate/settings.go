package translate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// Carry says how much of the original goes along in custom data (mapping.md, "Envelopes"): [CarryOriginal] or [CarryNone].
type Carry string

// Synthesize says when an anchor that a required link needs is made up (mapping.md, "Anchors"): [SynthesizeMissing],
// [SynthesizeAlways] or [SynthesizeNever].
type Synthesize string

// Returning says what becomes of an event that came from the other side (mapping.md, "Loops"): [ReturningGiveBack],
// [ReturningDrop], [ReturningRestore] or [ReturningTranslate]. In a [Result] it says what was done with the event: empty if it had not come from there, else [ReturningDrop] or [ReturningRestore].
type Returning string

// NoMapping says what becomes of an event of a type that has no counterpart of its own: [NoMappingAnnounce], [NoMappingRefuse] or
// [NoMappingDrop].
type NoMapping string

// Unresolved says what a [Session] does about a reference that names something unknown which could still come (mapping.md,
// "Unresolved references"): [UnresolvedPlaceholder] or [UnresolvedFail].
type Unresolved string

// The values of the settings are the words of a relay's configuration, except that the library says refuse for its dead_letter, has
// give_back besides, and does not wait. The first of each type is its default; an empty value means it too.
const (
	// CarryOriginal carries the whole original: translating back gives it again.
	CarryOriginal Carry = "original"
	// CarryNone leaves only a mark with the original's id.
	CarryNone Carry = "none"

	// SynthesizeMissing makes up what the ledger does not know, once.
	SynthesizeMissing Synthesize = "missing"
	// SynthesizeAlways repeats a synthesized anchor for every event that needs it, until a real one is known.
	SynthesizeAlways Synthesize = "always"
	// SynthesizeNever leaves the reference unresolved.
	SynthesizeNever Synthesize = "never"

	// ReturningGiveBack turns a carried original into itself, every time: translating back, as a library and
	// `eiffelbridge translate` do.
	ReturningGiveBack Returning = "give_back"
	// ReturningDrop gives no output and learns the facts: what a relay does by default.
	ReturningDrop Returning = "drop"
	// ReturningRestore gives the original back once per id, and never one that this ledger's own bridge wrote.
	ReturningRestore Returning = "restore"
	// ReturningTranslate takes what another bridge wrote as any other event. What this ledger's own bridge wrote, or made
	// from what it wrote, is dropped all the same: it would go round for ever.
	ReturningTranslate Returning = "translate"

	// NoMappingAnnounce announces it: an announcement or a custom event carries it.
	NoMappingAnnounce NoMapping = "announce"
	// NoMappingRefuse is an error with [CodeNoMapping].
	NoMappingRefuse NoMapping = "refuse"
	// NoMappingDrop gives no output.
	NoMappingDrop NoMapping = "drop"

	// UnresolvedPlaceholder takes the placeholder of the rule.
	UnresolvedPlaceholder Unresolved = "placeholder"
	// UnresolvedFail makes it an error with [CodeUnresolved].
	UnresolvedFail Unresolved = "fail"
)

func (Carry) words() []Carry { return []Carry{CarryOriginal, CarryNone} }

func (Synthesize) words() []Synthesize {
	return []Synthesize{SynthesizeMissing, SynthesizeAlways, SynthesizeNever}
}

func (Returning) words() []Returning {
	return []Returning{ReturningGiveBack, ReturningDrop, ReturningRestore, ReturningTranslate}
}

func (NoMapping) words() []NoMapping {
	return []NoMapping{NoMappingAnnounce, NoMappingRefuse, NoMappingDrop}
}

func (Unresolved) words() []Unresolved { return []Unresolved{UnresolvedPlaceholder, UnresolvedFail} }

// UnmarshalText reads one of the words. An error lists them all.
func (c *Carry) UnmarshalText(text []byte) error { return readWord(c, text) }

// UnmarshalText reads one of the words. An error lists them all.
func (s *Synthesize) UnmarshalText(text []byte) error { return readWord(s, text) }

// UnmarshalText reads one of the words. An error lists them all.
func (r *Returning) UnmarshalText(text []byte) error { return readWord(r, text) }

// UnmarshalText reads one of the words. An error lists them all.
func (n *NoMapping) UnmarshalText(text []byte) error { return readWord(n, text) }

// UnmarshalText reads one of the words. An error lists them all.
func (u *Unresolved) UnmarshalText(text []byte) error { return readWord(u, text) }

// word is a setting that has one of a few words as its value.
type word[W ~string] interface {
	~string
	words() []W // the default first
}

// readWord reads a setting. No text leaves the default.
func readWord[W word[W]](to *W, text []byte) error {
	w := W(text)
	if w != "" && !slices.Contains(w.words(), w) {
		return unknownWord(w)
	}
	*to = w
	return nil
}

// completeWord puts the default where there is nothing.
func completeWord[W word[W]](w *W, setting string) error {
	if *w == "" {
		*w = (*w).words()[0]
	}
	if !slices.Contains((*w).words(), *w) {
		return fmt.Errorf("%s: %w", setting, unknownWord(*w))
	}
	return nil
}

func unknownWord[W word[W]](w W) error {
	var known []string
	for _, k := range w.words() {
		known = append(known, string(k))
	}
	return fmt.Errorf("%.40q is unknown; the values are: %s", string(w), strings.Join(known, ", "))
}

// Settings say how an [Engine] translates. Every field that is empty has its default, so that the zero value has them all;
// [DefaultSettings] writes them out.
type Settings struct {
	Edition    string // Eiffel edition to write, from Agen on; empty: Orizaba
	Spec       string // CDEvents version to write: 0.5, 0.4 or 0.3; empty: 0.5
	Carry      Carry
	Synthesize Synthesize
	Returning  Returning
	NoMapping  NoMapping
	// Unresolved is what a [Session] on the engine does. [Engine.Translate] and [Ask] only tell, in [Result.Missing].
	Unresolved Unresolved

	// ServiceIDKey is the key of the Eiffel custom data that names the service of a deployment; empty: serviceId.
	ServiceIDKey string
	// PublishedLevels are the names of confidence levels that mean that a service was published; nil: as the catalogue has it.
	PublishedLevels []string
	// AllQualifiers makes all qualifiers of a purl count for an artifact's identity.
	AllQualifiers bool

	// Version is this module's version, for the serializer of Eiffel events; empty: 0.0.0.
	Version string
	// Explain fills [Result.Moves].
	Explain bool
	// Catalogue is what maps to what; nil: the project's own.
	Catalogue *mappings.Catalogue
}

// DefaultSettings are the defaults, written out: an [Engine] with them is one with empty [Settings]. They are for programs that
// show the settings, or let a user choose among the defaults.
func DefaultSettings() Settings {
	return Settings{
		Edition:      "Orizaba",
		Spec:         "0.5",
		Carry:        CarryOriginal,
		Synthesize:   SynthesizeMissing,
		Returning:    ReturningGiveBack,
		NoMapping:    NoMappingAnnounce,
		Unresolved:   UnresolvedPlaceholder,
		ServiceIDKey: "serviceId",
		Version:      "0.0.0",
	}
}

// serializerPrefix begins meta.source.serializer of every Eiffel event that the bridge writes; its version follows.
const serializerPrefix = "pkg:golang/github.com/eiffelbridge/eiffelbridge@"

func (s *Settings) complete() error {
	d := DefaultSettings()
	fill(&s.Edition, d.Edition)
	fill(&s.Spec, d.Spec)
	fill(&s.ServiceIDKey, d.ServiceIDKey)
	fill(&s.Version, d.Version)
	if !slices.Contains(schema.OutputEditions(), s.Edition) {
		return fmt.Errorf("edition: %q is not an Eiffel edition that can be written; these are: %s", s.Edition, strings.Join(schema.OutputEditions(), ", "))
	}
	if !slices.Contains(schema.OutputSpecs(), s.Spec) {
		return fmt.Errorf("spec: %q is not a CDEvents version that can be written; these are: %s", s.Spec, strings.Join(schema.OutputSpecs(), ", "))
	}
	for _, err := range []error{
		completeWord(&s.Carry, "carry"), completeWord(&s.Synthesize, "synthesize"), completeWord(&s.Returning, "returning"),
		completeWord(&s.NoMapping, "no mapping"), completeWord(&s.Unresolved, "unresolved"),
	} {
		if err != nil {
			return err
		}
	}
	if s.Catalogue == nil {
		c, err := mappings.Load()
		if err != nil {
			return err
		}
		s.Catalogue = c
	}
	if s.PublishedLevels != nil {
		c := *s.Catalogue
		c.PublishedLevels = s.PublishedLevels
		s.Catalogue = &c
	}
	return nil
}
