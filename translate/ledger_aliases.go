package translate

import "github.com/eiffelbridge/eiffelbridge/translate/ledger"

// What is remembered lives in package translate/ledger. These are its names under which this package has always had them.
type (
	Anchor       = ledger.Anchor
	Choice       = ledger.Choice
	Context      = ledger.Context
	Contexts     = ledger.Contexts
	Decision     = ledger.Decision
	EiffelEvent  = ledger.EiffelEvent
	EiffelLink   = ledger.EiffelLink
	Entry        = ledger.Entry
	Fact         = ledger.Fact
	FactKind     = ledger.FactKind
	FirstRun     = ledger.FirstRun
	Head         = ledger.Head
	Ledger       = ledger.Ledger
	Line         = ledger.Line
	MemoryLedger = ledger.Memory
	Query        = ledger.Query
	Range        = ledger.Range
	Record       = ledger.Record
	Set          = ledger.Set
	Stamp        = ledger.Stamp
	Subject      = ledger.Subject
	SubjectKey   = ledger.SubjectKey
)

// The kinds of facts; see package ledger.
const (
	SubjectFact  = ledger.SubjectFact
	NameFact     = ledger.NameFact
	AliasFact    = ledger.AliasFact
	EventFact    = ledger.EventFact
	ContextFact  = ledger.ContextFact
	DecisionFact = ledger.DecisionFact
	LineFact     = ledger.LineFact
	EntryFact    = ledger.EntryFact
	FirstRunFact = ledger.FirstRunFact
	PackageFact  = ledger.PackageFact
	ServiceFact  = ledger.ServiceFact
	RunsFact     = ledger.RunsFact

	LineLength = ledger.LineLength
)

// NewMemoryLedger is [ledger.NewMemory].
func NewMemoryLedger() *ledger.Memory { return ledger.NewMemory() }

// FactKinds is [ledger.FactKinds].
func FactKinds() []FactKind { return ledger.FactKinds() }

// Merge is [ledger.Merge].
func Merge(kind FactKind, old, delta []byte) ([]byte, error) { return ledger.Merge(kind, old, delta) }

// ParseKey is [ledger.ParseKey].
func ParseKey(key string) ([]string, bool) { return ledger.ParseKey(key) }

// ReferredTo is [ledger.ReferredTo].
func ReferredTo(kind string) bool { return ledger.ReferredTo(kind) }

// SetSize is [ledger.SetSize].
func SetSize(kind FactKind) int { return ledger.SetSize(kind) }

// Ages is [ledger.Ages].
func Ages(kind FactKind) bool { return ledger.Ages(kind) }

// Expired is [ledger.Expired].
func Expired(kind FactKind, key string, record []byte, get func(Query) ([]byte, error)) (bool, error) {
	return ledger.Expired(kind, key, record, get)
}

// DecodeSubject is [ledger.DecodeSubject].
func DecodeSubject(record []byte) (*Subject, error) { return ledger.DecodeSubject(record) }

// DecodeEiffelEvent is [ledger.DecodeEiffelEvent].
func DecodeEiffelEvent(record []byte) (*EiffelEvent, error) { return ledger.DecodeEiffelEvent(record) }

// DecodeContexts is [ledger.DecodeContexts].
func DecodeContexts(record []byte) (Contexts, error) { return ledger.DecodeContexts(record) }

// DecodeDecision is [ledger.DecodeDecision].
func DecodeDecision(record []byte) (Decision, error) { return ledger.DecodeDecision(record) }

// DecodeLine is [ledger.DecodeLine].
func DecodeLine(record []byte) (*Line, error) { return ledger.DecodeLine(record) }

// DecodeHead is [ledger.DecodeHead].
func DecodeHead(record []byte) (*Head, error) { return ledger.DecodeHead(record) }

// DecodeEntry is [ledger.DecodeEntry].
func DecodeEntry(s Stamp, record []byte) (*Entry, error) { return ledger.DecodeEntry(s, record) }

// DecodeStamp is [ledger.DecodeStamp].
func DecodeStamp(record []byte) (Stamp, error) { return ledger.DecodeStamp(record) }

// DecodeSet is [ledger.DecodeSet].
func DecodeSet(record []byte) (Set, error) { return ledger.DecodeSet(record) }

// The names below are this package's own shorthand.

const (
	kindArtifact     = ledger.KindArtifact
	kindChange       = ledger.KindChange
	kindEnvironment  = ledger.KindEnvironment
	kindPipelineRun  = ledger.KindPipelineRun
	kindService      = ledger.KindService
	kindTaskRun      = ledger.KindTaskRun
	kindTestCaseRun  = ledger.KindTestCaseRun
	kindTestSuiteRun = ledger.KindTestSuiteRun
	kindTicket       = ledger.KindTicket
)

// subjectOfKey gives the subject of that kind whose key it is; false if it is none.
func subjectOfKey(kind, key string) (SubjectKey, bool) { return ledger.ParseSubjectKey(kind, key) }

// fill sets what is empty.
func fill(s *string, with string) {
	if *s == "" {
		*s = with
	}
}
