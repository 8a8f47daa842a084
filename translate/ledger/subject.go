package ledger

import "sort"

// SubjectKey identifies a CDEvents subject (mapping.md, "Subjects").
type SubjectKey struct {
	Kind   string `json:"kind"` // the third segment of the event type, lower case
	Source string `json:"source,omitempty"`
	ID     string `json:"id"`
}

// The kinds of subjects that the bridge knows more of than their name.
const (
	KindArtifact     = "artifact"
	KindChange       = "change"
	KindEnvironment  = "environment"
	KindPipelineRun  = "pipelinerun"
	KindService      = "service"
	KindTaskRun      = "taskrun"
	KindTestCaseRun  = "testcaserun"
	KindTestSuiteRun = "testsuiterun"
	KindTicket       = "ticket"
)

// ReferredTo tells whether events refer to subjects of that kind by their id and source, so that a reference to another
// source may mean the one that is known (mapping.md, "Subjects"), and the ledger keeps the sources of an id (NameFact).
func ReferredTo(kind string) bool {
	switch kind {
	case KindArtifact, KindTaskRun, KindTicket, "build", "incident":
		return false
	}
	return true
}

// Anchor is the Eiffel event that others must link to for a subject, and its last version; or a milestone: an event of
// another type that the subject has got, such as a start.
type Anchor struct {
	Type        string `json:"type"` // Eiffel event type
	First       string `json:"first"`
	Last        string `json:"last"`
	Synthesized bool   `json:"synthesized,omitempty"` // the first was synthesized
	From        string `json:"from,omitempty"`        // the id of the event that made the first
}

// Subject is what the ledger knows of a CDEvents subject.
type Subject struct {
	Anchors  []Anchor `json:"anchors,omitempty"`
	Opened   Stamp    `json:"opened,omitzero"`    // the last time that it was created or changed by a real event
	Closures []Stamp  `json:"closures,omitempty"` // when an environment was deleted, oldest first; the last 100
	// Environments are those in which a service has a line, or in which a test ran; empty for other subjects.
	// The first 100 are kept.
	Environments []SubjectKey `json:"environments,omitempty"`
	// Text is an artifact's identity as it was first written; empty for other subjects.
	Text string `json:"text,omitempty"`
}

// Closed tells whether the subject was deleted and not created again since.
func (s *Subject) Closed() bool {
	return len(s.Closures) > 0 && (s.Opened == Stamp{} || s.Opened.Before(s.Closures[len(s.Closures)-1]))
}

// Anchor is the anchor of that Eiffel type, or the milestone; nil if there is none.
func (s *Subject) Anchor(eiffelType string) *Anchor {
	for i := range s.Anchors {
		if s.Anchors[i].Type == eiffelType {
			return &s.Anchors[i]
		}
	}
	return nil
}

func (k SubjectKey) appendTo(b []byte) []byte {
	b = appendText(b, 1, k.Kind)
	b = appendID(b, 2, k.Source)
	return appendID(b, 3, k.ID)
}

// subjectKeyWithin reads the key that the field is.
func (r *reader) subjectKeyWithin() (k SubjectKey) {
	m := r.within()
	for m.next() {
		switch m.field {
		case 1:
			k.Kind = m.text()
		case 2:
			k.Source = m.id()
		case 3:
			k.ID = m.id()
		}
	}
	r.failed(m.err)
	return k
}

// Encode writes the record.
func (s *Subject) Encode() []byte { return s.AppendTo([]byte{}) }

// AppendTo appends the record.
func (s *Subject) AppendTo(b []byte) []byte {
	var m int
	for _, a := range s.Anchors {
		b, m = openMessage(b, 1)
		b = appendText(b, 1, shortType(a.Type))
		b = appendID(b, 2, a.First)
		if a.Last != a.First {
			b = appendID(b, 3, a.Last)
		}
		b = appendBool(b, 4, a.Synthesized)
		b = closeMessage(appendID(b, 5, a.From), m)
	}
	if s.Opened != (Stamp{}) {
		b, m = openMessage(b, 2)
		b = closeMessage(s.Opened.AppendTo(b), m)
	}
	for _, c := range s.Closures {
		b, m = openMessage(b, 3)
		b = closeMessage(c.AppendTo(b), m)
	}
	for _, e := range s.Environments {
		b, m = openMessage(b, 4)
		b = closeMessage(e.appendTo(b), m)
	}
	return appendText(b, 5, s.Text)
}

// DecodeSubject reads a record; a nil one is the zero Subject.
func DecodeSubject(record []byte) (*Subject, error) { return decoderOf(record).Subject(record) }

// Subject reads a record, as [DecodeSubject] does.
func (d Decoder) Subject(record []byte) (*Subject, error) {
	s := &Subject{}
	err := d.ReadSubject(s, record)
	return s, err
}

// ReadSubject is Subject into what an earlier one has left: its lists are used again.
func (d Decoder) ReadSubject(s *Subject, record []byte) error {
	*s = Subject{Anchors: s.Anchors[:0], Closures: s.Closures[:0], Environments: s.Environments[:0]}
	r := d.read(record)
	for r.next() {
		switch r.field {
		case 1:
			s.Anchors = append(s.Anchors, r.anchorWithin())
		case 2:
			s.Opened = r.stampWithin()
		case 3:
			s.Closures = append(s.Closures, r.stampWithin())
		case 4:
			s.Environments = append(s.Environments, r.subjectKeyWithin())
		case 5:
			s.Text = r.text()
		}
	}
	return r.err
}

func (r *reader) anchorWithin() (a Anchor) {
	m := r.within()
	for m.next() {
		switch m.field {
		case 1:
			a.Type = m.eiffelType()
		case 2:
			a.First = m.id()
		case 3:
			a.Last = m.id()
		case 4:
			a.Synthesized = m.bool()
		case 5:
			a.From = m.id()
		}
	}
	fill(&a.Last, a.First)
	r.failed(m.err)
	return a
}

// environmentsSize bounds the environments of a subject: which few there are matters, and that there are several.
const environmentsSize = 100

func (s *Subject) merge(d *Subject) {
	for _, a := range d.Anchors {
		known := s.Anchor(a.Type)
		switch {
		case known == nil:
			s.Anchors = append(s.Anchors, a)
		case !a.Synthesized || a.Last != a.First:
			known.Last = a.Last
		}
	}
	if s.Opened == (Stamp{}) || d.Opened != (Stamp{}) && s.Opened.Before(d.Opened) {
		s.Opened = d.Opened
	}
	for _, c := range d.Closures {
		at := sort.Search(len(s.Closures), func(i int) bool { return !s.Closures[i].Before(c) })
		if at < len(s.Closures) && s.Closures[at] == c {
			continue
		}
		s.Closures = append(s.Closures, Stamp{})
		copy(s.Closures[at+1:], s.Closures[at:])
		s.Closures[at] = c
	}
	if over := len(s.Closures) - LineLength; over > 0 {
		s.Closures = s.Closures[over:]
	}
environments:
	for _, e := range d.Environments {
		for _, known := range s.Environments {
			if known == e {
				continue environments
			}
		}
		if len(s.Environments) < environmentsSize {
			s.Environments = append(s.Environments, e)
		}
	}
	if s.Text == "" {
		s.Text = d.Text
	}
}
