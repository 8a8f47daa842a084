package ledger

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// FirstRun says when an artifact (its key; mapping.md, "Artifacts") first ran in a line.
type FirstRun struct {
	Artifact string `json:"artifact"`
	Stamp
}

// Line is a whole history in one record, as ledgers of format 1 kept it under [LineFact], oldest first. What reads it yet are
// such ledgers, their dumps, and plugins that were built then.
type Line struct {
	Entries   []Entry    `json:"entries"`
	FirstRuns []FirstRun `json:"firstRuns,omitempty"`
}

// Encode writes the record. Artifacts stand once, in a table, since few of them run many times.
func (l *Line) Encode() []byte {
	var b []byte
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
		var m int
		b, m = openMessage(b, 2)
		b = e.Stamp.AppendTo(b)
		b = appendBool(b, 3, e.Removed)
		b = appendNumber(b, 4, artifact)
		b = appendID(b, 5, e.Config)
		b = appendNumber(b, 6, key)
		b = closeMessage(appendText(b, 7, e.Predicate), m)
	}
	for _, r := range l.FirstRuns {
		artifact := number(r.Artifact)
		var m int
		b, m = openMessage(b, 3)
		b = closeMessage(appendNumber(r.Stamp.AppendTo(b), 4, artifact), m)
	}
	return b
}

// DecodeLine reads a record; a nil one is an empty line. What a [Head] has besides is not read.
func DecodeLine(record []byte) (*Line, error) {
	l := &Line{}
	var artifacts []string
	d := decoderOf(record)
	for r := d.read(record); ; {
		if !r.next() {
			if r.err != nil {
				return nil, r.err
			}
			break
		}
		if r.field == 1 {
			artifacts = append(artifacts, r.text())
		}
	}
	r := d.read(record)
	for r.next() {
		switch r.field {
		case 2:
			l.Entries = append(l.Entries, r.numberedEntry(artifacts))
		case 3:
			e := r.numberedEntry(artifacts)
			l.FirstRuns = append(l.FirstRuns, FirstRun{e.Artifact, e.Stamp})
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return l, nil
}

// numberedEntry reads the entry that the field is, which has its artifacts by number.
func (r *reader) numberedEntry(artifacts []string) (e Entry) {
	m := r.within()
	artifact := func() string {
		if m.number == 0 || m.number > uint64(len(artifacts)) {
			m.failed(errRecord)
			return ""
		}
		return artifacts[m.number-1]
	}
	for m.next() {
		switch m.field {
		case 1:
			e.Time = m.int()
		case 2:
			e.ID = m.id()
		case 3:
			e.Removed = m.bool()
		case 4:
			e.Artifact = artifact()
		case 5:
			e.Config = m.id()
		case 6:
			e.Key = artifact()
		case 7:
			e.Predicate = m.text()
		}
	}
	r.failed(m.err)
	return e
}

// IsLine tells whether a record of a [LineFact] is a [Line] and not a [Head]. An empty one is neither.
func IsLine(record []byte) bool {
	line := false
	r := reader{rest: record}
	for r.next() {
		line = line || r.field == 2 || r.field == 3
	}
	return r.err == nil && line
}

// Facts are the line as it is kept now, under the key of its [LineFact]: the entries, the first runs and, last, the head.
func (l *Line) Facts(key string) []Fact {
	var facts []Fact
	h := Head{Entries: uint64(len(l.Entries))}
	for _, e := range l.Entries {
		facts = append(facts, Fact{Query: Query{Kind: EntryFact, Key: entryKey(key, e.Stamp)}, Record: e.Encode()})
		if h.Last.Before(e.Stamp) {
			h.Last = e
		}
	}
	for _, r := range l.FirstRuns {
		facts = append(facts, FirstRunOf(key, r))
	}
	return append(facts, Fact{Query: Query{Kind: LineFact, Key: key}, Record: h.Encode()})
}

// FirstRunOf is what the ledger learns of a first run in the line of that key.
func FirstRunOf(key string, r FirstRun) Fact {
	return Fact{Query: Query{Kind: FirstRunFact, Key: childKey(key, r.Artifact)}, Record: r.Stamp.Encode()}
}
