package translate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// Carry says how much of the original goes along in custom data (section 3).
type Carry byte

const (
	// CarryOriginal carries the whole original: translating back gives it again. The default.
	CarryOriginal Carry = iota
	// CarryNone leaves only a mark with the original's id.
	CarryNone
)

// Synthesize says when an anchor that a required link needs is made up (section 2).
type Synthesize byte

const (
	// SynthesizeMissing makes up what the ledger does not know, once. The default.
	SynthesizeMissing Synthesize = iota
	// SynthesizeAlways repeats a synthesized anchor for every event that needs it, until a real one is known.
	SynthesizeAlways
	// SynthesizeNever leaves the reference unresolved.
	SynthesizeNever
)

// Returning says what becomes of an event that came from the other side (section 3, Loops).
type Returning byte

const (
	// ReturningGiveBack turns a carried original into itself, every time: translating back, as a library and
	// `eiffelbridge translate` do. The default.
	ReturningGiveBack Returning = iota
	// ReturningDrop gives no output and learns the facts: what a relay does by default.
	ReturningDrop
	// ReturningRestore gives the original back once per id, and never one that this ledger's own bridge wrote.
	ReturningRestore
	// ReturningTranslate takes what another bridge wrote as any other event. What this ledger's own bridge wrote, or made
	// from what it wrote, is dropped all the same: it would go round for ever.
	ReturningTranslate
)

// NoMapping says what becomes of an event of a type that has no counterpart of its own.
type NoMapping byte

const (
	// NoMappingAnnounce announces it: an announcement or a custom event carries it. The default.
	NoMappingAnnounce NoMapping = iota
	// NoMappingRefuse is an error with [CodeNoMapping].
	NoMappingRefuse
	// NoMappingDrop gives no output.
	NoMappingDrop
)

// Settings say how an [Engine] translates. The zero value has the defaults.
type Settings struct {
	Edition    string // Eiffel edition to write, from Agen on; empty: Orizaba
	Spec       string // CDEvents version to write: 0.5, 0.4 or 0.3; empty: 0.5
	Carry      Carry
	Synthesize Synthesize
	Returning  Returning
	NoMapping  NoMapping

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

// DefaultSettings are the defaults, written out.
func DefaultSettings() Settings {
	return Settings{
		Edition:      "Orizaba",
		Spec:         "0.5",
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
