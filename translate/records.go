package translate

import (
	"encoding/hex"
	"fmt"
	"sort"

	"google.golang.org/protobuf/encoding/protowire"
)

// Records are written in the protocol buffers wire format, field by field: compact, readable by a later version that
// knows more fields, and no reflection. Every record of a kind is also a delta of that kind: [Merge] unites a record with
// one. Deltas are united one after the other, in the order in which they were learned: kinds that forget what is beyond
// their size do not allow for another order.

// SubjectKey identifies a CDEvents subject (mapping.md section 2).
type SubjectKey struct {
	Kind   string `json:"kind"` // the third segment of the event type, lower case
	Source string `json:"source,omitempty"`
	ID     string `json:"id"`
}

// key is the subject's source and id as ledger keys and choices have them.
func (k SubjectKey) key() string { return string(appendKey(nil, k.Source, k.ID)) }

// subjectOfKey gives the subject of that kind whose key it is; false if it is none.
func subjectOfKey(kind, key string) (SubjectKey, bool) {
	parts, ok := ParseKey(key)
	if !ok || len(parts) != 2 {
		return SubjectKey{}, false
	}
	return SubjectKey{kind, parts[0], parts[1]}, true
}

// The kinds of subjects that judgements name.
const (
	kindArtifact     = "artifact"
	kindChange       = "change"
	kindEnvironment  = "environment"
	kindPipelineRun  = "pipelinerun"
	kindService      = "service"
	kindTaskRun      = "taskrun"
	kindTestCaseRun  = "testcaserun"
	kindTestSuiteRun = "testsuiterun"
	kindTicket       = "ticket"
)

// ReferredTo tells whether events refer to subjects of that kind by their id and source, so that a reference to another
// source may mean the one that is known (section 2), and the ledger keeps the sources of an id (NameFact).
func ReferredTo(kind string) bool {
	switch kind {
	case kindArtifact, kindTaskRun, kindTicket, "build", "incident":
		return false
	}
	return true
}

// Stamp orders what happened in a line or to an environment: by time, then by Eiffel event id.
type Stamp struct {
	Time int64  `json:"time"` // milliseconds since 1970, as meta.time
	ID   string `json:"id"`   // meta.id
}

// Before tells whether s lies strictly before t.
func (s Stamp) Before(t Stamp) bool {
	return s.Time < t.Time || s.Time == t.Time && s.ID < t.ID
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

// EiffelLink is an Eiffel event's link.
type EiffelLink struct {
	Type     string `json:"type"`
	Target   string `json:"target"`
	DomainID string `json:"domainId,omitempty"`
}

// EiffelEvent is what the ledger knows of an Eiffel event: what it is about, and how it was met.
type EiffelEvent struct {
	Type        string     `json:"type,omitempty"` // Eiffel event type
	Time        int64      `json:"time,omitempty"` // meta.time
	Subject     SubjectKey `json:"subject,omitzero"`
	Environment SubjectKey `json:"environment,omitzero"` // of an ArtD, or of a test
	Artifact    string     `json:"artifact,omitempty"`   // the purl of an ArtC or ArtD
	Chain       string     `json:"chain,omitempty"`      // its chain id, where it is not its own id
	Name        string     `json:"name,omitempty"`       // data.name of an activity
	// ContextID and Source are those of the CDEvent that it became or came from, where the id differs.
	ContextID   string       `json:"contextId,omitempty"`
	Links       []EiffelLink `json:"links,omitempty"`
	Emitted     bool         `json:"emitted,omitempty"`     // we wrote it, or gave it back
	Synthesized bool         `json:"synthesized,omitempty"` // we made it up for a required link
}

// Context is one event that bears a context id.
type Context struct {
	Source  string `json:"source"`
	Type    string `json:"type"`              // the full CDEvents type
	Eiffel  string `json:"eiffel,omitempty"`  // the Eiffel event that it became or came from
	Emitted bool   `json:"emitted,omitempty"` // we wrote it, or gave it back
}

// Contexts are the events that bear one context id; ids are unique per source only. At most eight are kept.
type Contexts []Context

// Choice is one thing that depended on the ledger when an event was translated.
type Choice struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Decision holds the choices made for an event, for its redelivery. A choice that fell as it would have with an empty
// ledger is not stored.
type Decision []Choice

// Entry is a deployment or a removal in a line.
type Entry struct {
	Stamp
	Removed  bool   `json:"removed,omitempty"`
	Artifact string `json:"artifact,omitempty"` // canonical purl with all qualifiers
	Key      string `json:"key,omitempty"`      // the artifact's key (section 2), where it differs from Artifact
	Config   string `json:"config,omitempty"`   // target of CONFIGURATION
	// Predicate is how the service event called it, where that is not deployed: upgraded or rolledback.
	Predicate string `json:"predicate,omitempty"`
}

// FirstRun says when an artifact (its key, mapping.md section 2) first ran in a line.
type FirstRun struct {
	Artifact string `json:"artifact"`
	Stamp
}

// LineLength is how many entries of a line are kept at least.
const LineLength = 100

// Line is the history of one service in one environment, ordered by time, then by id.
type Line struct {
	Entries   []Entry    `json:"entries"`
	FirstRuns []FirstRun `json:"firstRuns,omitempty"`
}

// ArtifactKey is the key of the artifact that was deployed.
func (e *Entry) ArtifactKey() string {
	if e.Key != "" {
		return e.Key
	}
	return e.Artifact
}

// setSize bounds a [Set]: what matters is whether there is one, or which few there are.
const setSize = 8

// runsSize bounds the Set of a [RunsFact]: a composition of more is of no use to who reads it, and every new service
// rewrites the record. A set of that size says that there are too many.
const runsSize = 101

// SetSize is how many members a [Set] of that kind keeps.
func SetSize(kind FactKind) int {
	if kind == RunsFact {
		return runsSize
	}
	return setSize
}

// Set is a few strings in the order in which they came; the first eight are kept, of a [RunsFact] the first 101.
type Set []string

func appendText(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendString(b, s)
}

// appendID writes a canonical UUID as its 16 bytes, any other text as it is, each behind a byte that tells which.
func appendID(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return appendIDBytes(b, s)
}

func appendIDBytes(b []byte, s string) []byte {
	if len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' {
		var raw [17]byte
		raw[0] = 'u'
		at := 1
		ok := true
		for i := 0; i < 36 && ok; i += 2 {
			if i == 8 || i == 13 || i == 18 || i == 23 {
				i++
			}
			hi, lo := hexDigit(s[i]), hexDigit(s[i+1])
			ok = hi < 16 && lo < 16
			raw[at] = hi<<4 | lo
			at++
		}
		if ok {
			return protowire.AppendBytes(b, raw[:])
		}
	}
	b = protowire.AppendVarint(b, uint64(len(s)+1))
	b = append(b, 't')
	return append(b, s...)
}

func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 16
}

func decodeID(b []byte) (string, error) {
	switch {
	case len(b) == 17 && b[0] == 'u':
		return formatUUID(b[1:]), nil
	case len(b) > 1 && b[0] == 't':
		return string(b[1:]), nil
	}
	return "", errRecord
}

func formatUUID(b []byte) string {
	var out [36]byte
	hex.Encode(out[0:8], b[0:4])
	out[8] = '-'
	hex.Encode(out[9:13], b[4:6])
	out[13] = '-'
	hex.Encode(out[14:18], b[6:8])
	out[18] = '-'
	hex.Encode(out[19:23], b[8:10])
	out[23] = '-'
	hex.Encode(out[24:36], b[10:16])
	return string(out[:])
}

func appendBool(b []byte, field protowire.Number, v bool) []byte {
	if !v {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.VarintType)
	return append(b, 1)
}

func appendInt(b []byte, field protowire.Number, v int64) []byte {
	if v == 0 {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.VarintType)
	return protowire.AppendVarint(b, protowire.EncodeZigZag(v))
}

func appendMessage(b []byte, field protowire.Number, m []byte) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, m)
}

// fields calls f for each field of a record. Varints arrive in n, byte strings in v; unknown fields are for f to ignore.
func fields(record []byte, f func(field protowire.Number, n uint64, v []byte) error) error {
	for len(record) > 0 {
		field, typ, size := protowire.ConsumeTag(record)
		if size < 0 {
			return errRecord
		}
		record = record[size:]
		var n uint64
		var v []byte
		switch typ {
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(record)
		case protowire.BytesType:
			v, size = protowire.ConsumeBytes(record)
		default:
			size = protowire.ConsumeFieldValue(field, typ, record)
		}
		if size < 0 {
			return errRecord
		}
		record = record[size:]
		if err := f(field, n, v); err != nil {
			return err
		}
	}
	return nil
}

func (k SubjectKey) appendTo(b []byte) []byte {
	b = appendText(b, 1, k.Kind)
	b = appendID(b, 2, k.Source)
	return appendID(b, 3, k.ID)
}

func decodeSubjectKey(record []byte) (k SubjectKey, err error) {
	err = fields(record, func(field protowire.Number, n uint64, v []byte) (err error) {
		switch field {
		case 1:
			k.Kind = string(v)
		case 2:
			k.Source, err = decodeID(v)
		case 3:
			k.ID, err = decodeID(v)
		}
		return err
	})
	return k, err
}

func (s Stamp) appendTo(b []byte) []byte {
	b = appendInt(b, 1, s.Time)
	return appendID(b, 2, s.ID)
}

func decodeStamp(record []byte) (s Stamp, err error) {
	err = fields(record, func(field protowire.Number, n uint64, v []byte) (err error) {
		switch field {
		case 1:
			s.Time = protowire.DecodeZigZag(n)
		case 2:
			s.ID, err = decodeID(v)
		}
		return err
	})
	return s, err
}

// Encode writes the record.
func (s *Subject) Encode() []byte {
	var b, m []byte
	for _, a := range s.Anchors {
		m = appendText(m[:0], 1, shortType(a.Type))
		m = appendID(m, 2, a.First)
		if a.Last != a.First {
			m = appendID(m, 3, a.Last)
		}
		m = appendBool(m, 4, a.Synthesized)
		m = appendID(m, 5, a.From)
		b = appendMessage(b, 1, m)
	}
	if s.Opened != (Stamp{}) {
		m = s.Opened.appendTo(m[:0])
		b = appendMessage(b, 2, m)
	}
	for _, c := range s.Closures {
		m = c.appendTo(m[:0])
		b = appendMessage(b, 3, m)
	}
	for _, e := range s.Environments {
		m = e.appendTo(m[:0])
		b = appendMessage(b, 4, m)
	}
	return appendText(b, 5, s.Text)
}

// DecodeSubject reads a record; a nil one is the zero Subject.
func DecodeSubject(record []byte) (*Subject, error) {
	s := &Subject{}
	err := fields(record, func(field protowire.Number, n uint64, v []byte) (err error) {
		switch field {
		case 1:
			var a Anchor
			err = fields(v, func(field protowire.Number, n uint64, v []byte) (err error) {
				switch field {
				case 1:
					a.Type = longType(string(v))
				case 2:
					a.First, err = decodeID(v)
				case 3:
					a.Last, err = decodeID(v)
				case 4:
					a.Synthesized = n != 0
				case 5:
					a.From, err = decodeID(v)
				}
				return err
			})
			if a.Last == "" {
				a.Last = a.First
			}
			s.Anchors = append(s.Anchors, a)
		case 2:
			s.Opened, err = decodeStamp(v)
		case 3:
			var c Stamp
			c, err = decodeStamp(v)
			s.Closures = append(s.Closures, c)
		case 4:
			var k SubjectKey
			k, err = decodeSubjectKey(v)
			s.Environments = append(s.Environments, k)
		case 5:
			s.Text = string(v)
		}
		return err
	})
	return s, err
}

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
		s.Environments = append(s.Environments, e)
	}
	if s.Text == "" {
		s.Text = d.Text
	}
}

// shortType and longType leave out what all Eiffel event types share.
func shortType(t string) string {
	if len(t) > 11 && t[:6] == "Eiffel" && t[len(t)-5:] == "Event" {
		return t[6 : len(t)-5]
	}
	return "=" + t
}

func longType(t string) string {
	if t != "" && t[0] == '=' {
		return t[1:]
	}
	return "Eiffel" + t + "Event"
}

// Encode writes the record.
func (e *EiffelEvent) Encode() []byte {
	var b, m []byte
	if e.Type != "" {
		b = appendText(b, 1, shortType(e.Type))
	}
	b = appendInt(b, 2, e.Time)
	if e.Subject != (SubjectKey{}) {
		m = e.Subject.appendTo(m[:0])
		b = appendMessage(b, 3, m)
	}
	if e.Environment != (SubjectKey{}) {
		m = e.Environment.appendTo(m[:0])
		b = appendMessage(b, 4, m)
	}
	b = appendText(b, 5, e.Artifact)
	b = appendID(b, 6, e.Chain)
	b = appendID(b, 7, e.ContextID)
	for _, l := range e.Links {
		m = appendText(m[:0], 1, l.Type)
		m = appendID(m, 2, l.Target)
		m = appendText(m, 3, l.DomainID)
		b = appendMessage(b, 8, m)
	}
	b = appendBool(b, 9, e.Emitted)
	b = appendBool(b, 10, e.Synthesized)
	return appendText(b, 11, e.Name)
}

// DecodeEiffelEvent reads a record; a nil one is the zero EiffelEvent.
func DecodeEiffelEvent(record []byte) (*EiffelEvent, error) {
	e := &EiffelEvent{}
	err := fields(record, func(field protowire.Number, n uint64, v []byte) (err error) {
		switch field {
		case 1:
			e.Type = longType(string(v))
		case 2:
			e.Time = protowire.DecodeZigZag(n)
		case 3:
			e.Subject, err = decodeSubjectKey(v)
		case 4:
			e.Environment, err = decodeSubjectKey(v)
		case 5:
			e.Artifact = string(v)
		case 6:
			e.Chain, err = decodeID(v)
		case 7:
			e.ContextID, err = decodeID(v)
		case 8:
			var l EiffelLink
			err = fields(v, func(field protowire.Number, n uint64, v []byte) (err error) {
				switch field {
				case 1:
					l.Type = string(v)
				case 2:
					l.Target, err = decodeID(v)
				case 3:
					l.DomainID = string(v)
				}
				return err
			})
			e.Links = append(e.Links, l)
		case 9:
			e.Emitted = n != 0
		case 10:
			e.Synthesized = n != 0
		case 11:
			e.Name = string(v)
		}
		return err
	})
	return e, err
}

func (e *EiffelEvent) merge(d *EiffelEvent) {
	fill(&e.Type, d.Type)
	if e.Time == 0 {
		e.Time = d.Time
	}
	if e.Subject == (SubjectKey{}) {
		e.Subject = d.Subject
	}
	if e.Environment == (SubjectKey{}) {
		e.Environment = d.Environment
	}
	fill(&e.Artifact, d.Artifact)
	fill(&e.Chain, d.Chain)
	fill(&e.Name, d.Name)
	fill(&e.ContextID, d.ContextID)
	if e.Links == nil {
		e.Links = d.Links
	}
	e.Emitted = e.Emitted || d.Emitted
	e.Synthesized = e.Synthesized || d.Synthesized
}

func fill(s *string, with string) {
	if *s == "" {
		*s = with
	}
}

// Encode writes the record.
func (c Contexts) Encode() []byte {
	var b, m []byte
	for _, e := range c {
		m = appendText(m[:0], 1, e.Source)
		m = appendText(m, 2, e.Type)
		m = appendID(m, 3, e.Eiffel)
		m = appendBool(m, 4, e.Emitted)
		b = appendMessage(b, 1, m)
	}
	return b
}

// DecodeContexts reads a record; a nil one is empty.
func DecodeContexts(record []byte) (c Contexts, err error) {
	err = fields(record, func(field protowire.Number, n uint64, v []byte) (err error) {
		if field != 1 {
			return nil
		}
		var e Context
		err = fields(v, func(field protowire.Number, n uint64, v []byte) (err error) {
			switch field {
			case 1:
				e.Source = string(v)
			case 2:
				e.Type = string(v)
			case 3:
				e.Eiffel, err = decodeID(v)
			case 4:
				e.Emitted = n != 0
			}
			return err
		})
		c = append(c, e)
		return err
	})
	return c, err
}

func (c Contexts) merge(d Contexts) Contexts {
next:
	for _, e := range d {
		for i := range c {
			if c[i].Source == e.Source && c[i].Type == e.Type {
				fill(&c[i].Eiffel, e.Eiffel)
				c[i].Emitted = c[i].Emitted || e.Emitted
				continue next
			}
		}
		if len(c) < setSize {
			c = append(c, e)
		}
	}
	return c
}

// Encode writes the record.
func (d Decision) Encode() []byte {
	b := []byte{}
	var m []byte
	for _, c := range d {
		m = appendText(m[:0], 1, c.Name)
		m = appendID(m, 2, c.Value)
		b = appendMessage(b, 1, m)
	}
	return b
}

// DecodeDecision reads a record.
func DecodeDecision(record []byte) (d Decision, err error) {
	err = fields(record, func(field protowire.Number, n uint64, v []byte) (err error) {
		if field != 1 {
			return nil
		}
		var c Choice
		err = fields(v, func(field protowire.Number, n uint64, v []byte) (err error) {
			switch field {
			case 1:
				c.Name = string(v)
			case 2:
				c.Value, err = decodeID(v)
			}
			return err
		})
		d = append(d, c)
		return err
	})
	return d, err
}

// Encode writes the record.
func (s Set) Encode() []byte {
	var b []byte
	for _, e := range s {
		// An empty string is a member like any other, so it is written with its tag.
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		b = protowire.AppendString(b, e)
	}
	return b
}

// DecodeSet reads a record; a nil one is empty.
func DecodeSet(record []byte) (s Set, err error) {
	err = fields(record, func(field protowire.Number, n uint64, v []byte) error {
		if field == 1 {
			s = append(s, string(v))
		}
		return nil
	})
	return s, err
}

func (s Set) merge(d Set, most int) Set {
next:
	for _, e := range d {
		for _, known := range s {
			if known == e {
				continue next
			}
		}
		if len(s) < most {
			s = append(s, e)
		}
	}
	return s
}

// Encode writes the record. Artifacts stand once, in a table, since few of them run many times.
func (l *Line) Encode() []byte {
	var b, m []byte
	index := make(map[string]uint64, 8)
	number := func(artifact string) uint64 {
		if artifact == "" {
			return 0
		}
		i, ok := index[artifact]
		if !ok {
			i = uint64(len(index) + 1)
			index[artifact] = i
			b = protowire.AppendTag(b, 1, protowire.BytesType)
			b = protowire.AppendString(b, artifact)
		}
		return i
	}
	for i := range l.Entries {
		e := &l.Entries[i]
		artifact, key := number(e.Artifact), number(e.Key)
		m = e.appendTo(m[:0], artifact, key)
		b = appendMessage(b, 2, m)
	}
	for _, r := range l.FirstRuns {
		artifact := number(r.Artifact)
		m = appendFirstRun(m[:0], r.Stamp, artifact)
		b = appendMessage(b, 3, m)
	}
	return b
}

// appendTo writes an entry whose artifact and key have those numbers.
func (e *Entry) appendTo(m []byte, artifact, key uint64) []byte {
	m = e.Stamp.appendTo(m)
	m = appendBool(m, 3, e.Removed)
	m = appendNumber(m, 4, artifact)
	m = appendID(m, 5, e.Config)
	m = appendNumber(m, 6, key)
	return appendText(m, 7, e.Predicate)
}

func appendFirstRun(m []byte, s Stamp, artifact uint64) []byte {
	return appendNumber(s.appendTo(m), 4, artifact)
}

func appendNumber(b []byte, field protowire.Number, n uint64) []byte {
	if n == 0 {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.VarintType)
	return protowire.AppendVarint(b, n)
}

// DecodeLine reads a record; a nil one is an empty line.
func DecodeLine(record []byte) (*Line, error) {
	v, err := viewLine(record)
	if err != nil {
		return nil, err
	}
	l := &Line{}
	for _, m := range v.entries {
		e, err := v.entry(m)
		if err != nil {
			return nil, err
		}
		l.Entries = append(l.Entries, e)
	}
	for _, m := range v.firstRuns {
		e, err := v.entry(m)
		if err != nil {
			return nil, err
		}
		l.FirstRuns = append(l.FirstRuns, FirstRun{e.Artifact, e.Stamp})
	}
	return l, nil
}

func (l *Line) merge(d *Line) {
	for _, e := range d.Entries {
		at := sort.Search(len(l.Entries), func(i int) bool { return !l.Entries[i].Before(e.Stamp) })
		if at < len(l.Entries) && l.Entries[at].Stamp == e.Stamp {
			continue
		}
		l.Entries = append(l.Entries, Entry{})
		copy(l.Entries[at+1:], l.Entries[at:])
		l.Entries[at] = e
	}
next:
	for _, r := range d.FirstRuns {
		for i := range l.FirstRuns {
			if l.FirstRuns[i].Artifact == r.Artifact {
				if r.Before(l.FirstRuns[i].Stamp) {
					l.FirstRuns[i].Stamp = r.Stamp
				}
				continue next
			}
		}
		l.FirstRuns = append(l.FirstRuns, r)
	}
	if over := len(l.Entries) - LineLength; over > lineSlack {
		l.Entries = append(l.Entries[:0:0], l.Entries[over:]...)
		l.forgetFirstRuns()
	}
}

// forgetFirstRuns leaves out the first runs of artifacts that no kept entry names.
func (l *Line) forgetFirstRuns() {
	named := make(map[string]bool, len(l.FirstRuns))
	for _, e := range l.Entries {
		if !e.Removed {
			named[e.ArtifactKey()] = true
		}
	}
	kept := l.FirstRuns[:0:0]
	for _, r := range l.FirstRuns {
		if named[r.Artifact] {
			kept = append(kept, r)
		}
	}
	l.FirstRuns = kept
}

// Merge unites a record with a delta of the same kind and gives the new record; either may be nil. It retains neither.
// Merging the same delta twice is the same as once.
func Merge(kind FactKind, old, delta []byte) ([]byte, error) {
	if old == nil {
		// A copy of a delta is the record, whatever the kind.
		return append([]byte{}, delta...), nil
	}
	switch kind {
	case SubjectFact:
		s, err := DecodeSubject(old)
		if err != nil {
			return nil, err
		}
		d, err := DecodeSubject(delta)
		if err != nil {
			return nil, err
		}
		s.merge(d)
		return s.Encode(), nil
	case EventFact:
		e, err := DecodeEiffelEvent(old)
		if err != nil {
			return nil, err
		}
		d, err := DecodeEiffelEvent(delta)
		if err != nil {
			return nil, err
		}
		e.merge(d)
		return e.Encode(), nil
	case ContextFact:
		c, err := DecodeContexts(old)
		if err != nil {
			return nil, err
		}
		d, err := DecodeContexts(delta)
		if err != nil {
			return nil, err
		}
		return c.merge(d).Encode(), nil
	case LineFact:
		if record, ok := appendToLine(old, delta); ok {
			return record, nil
		}
		l, err := DecodeLine(old)
		if err != nil {
			return nil, err
		}
		d, err := DecodeLine(delta)
		if err != nil {
			return nil, err
		}
		l.merge(d)
		return l.Encode(), nil
	case NameFact, PackageFact, ServiceFact, RunsFact:
		s, err := DecodeSet(old)
		if err != nil {
			return nil, err
		}
		d, err := DecodeSet(delta)
		if err != nil {
			return nil, err
		}
		return s.merge(d, SetSize(kind)).Encode(), nil
	case AliasFact, DecisionFact:
		// What was decided stays.
		return append([]byte{}, old...), nil
	}
	return nil, fmt.Errorf("unknown %s", kind)
}
