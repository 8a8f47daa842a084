package ledger

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// FirstRun says when an artifact (its key, mapping.md section 2) first ran in a line.
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
		m = e.Stamp.appendTo(m[:0])
		m = appendBool(m, 3, e.Removed)
		m = appendNumber(m, 4, artifact)
		m = appendID(m, 5, e.Config)
		m = appendNumber(m, 6, key)
		m = appendText(m, 7, e.Predicate)
		b = appendMessage(b, 2, m)
	}
	for _, r := range l.FirstRuns {
		artifact := number(r.Artifact)
		m = appendNumber(r.Stamp.appendTo(m[:0]), 4, artifact)
		b = appendMessage(b, 3, m)
	}
	return b
}

// DecodeLine reads a record; a nil one is an empty line. What a [Head] has besides is not read.
func DecodeLine(record []byte) (*Line, error) {
	var artifacts []string
	var entries, firstRuns [][]byte
	err := fields(record, func(field protowire.Number, n uint64, v []byte) error {
		switch field {
		case 1:
			artifacts = append(artifacts, string(v))
		case 2:
			entries = append(entries, v)
		case 3:
			firstRuns = append(firstRuns, v)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	text := func(n uint64) (string, error) {
		if n == 0 || n > uint64(len(artifacts)) {
			return "", errRecord
		}
		return artifacts[n-1], nil
	}
	decode := func(message []byte) (e Entry, err error) {
		err = fields(message, func(field protowire.Number, n uint64, v []byte) (err error) {
			switch field {
			case 1:
				e.Time = protowire.DecodeZigZag(n)
			case 2:
				e.ID, err = decodeID(v)
			case 3:
				e.Removed = n != 0
			case 4:
				e.Artifact, err = text(n)
			case 5:
				e.Config, err = decodeID(v)
			case 6:
				e.Key, err = text(n)
			case 7:
				e.Predicate = string(v)
			}
			return err
		})
		return e, err
	}
	l := &Line{}
	for _, m := range entries {
		e, err := decode(m)
		if err != nil {
			return nil, err
		}
		l.Entries = append(l.Entries, e)
	}
	for _, m := range firstRuns {
		e, err := decode(m)
		if err != nil {
			return nil, err
		}
		l.FirstRuns = append(l.FirstRuns, FirstRun{e.Artifact, e.Stamp})
	}
	return l, nil
}

// IsLine tells whether a record of a [LineFact] is a [Line] and not a [Head]. An empty one is neither.
func IsLine(record []byte) bool {
	line := false
	err := fields(record, func(field protowire.Number, n uint64, v []byte) error {
		line = line || field == 2 || field == 3
		return nil
	})
	return err == nil && line
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
