package ledger

import (
	"sort"

	"google.golang.org/protobuf/encoding/protowire"
)

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

// DecodeLine reads a record; a nil one is an empty line.
func DecodeLine(record []byte) (*Line, error) {
	v, err := ViewLine(record)
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
