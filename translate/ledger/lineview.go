package ledger

import (
	"iter"

	"google.golang.org/protobuf/encoding/protowire"
)

// LineView is a line's record taken apart only as far as it is asked: most questions are about its end, and lines are the
// longest records that there are.
type LineView struct {
	artifacts [][]byte // texts, in the order of their numbers
	entries   [][]byte // messages, oldest first
	firstRuns [][]byte // messages
}

// ViewLine reads a line's record; a nil one is an empty line.
func ViewLine(record []byte) (*LineView, error) {
	v := &LineView{}
	if record == nil {
		return v, nil
	}
	v.entries = make([][]byte, 0, len(record)/28+1) // about the size of an entry
	err := fields(record, func(field protowire.Number, n uint64, b []byte) error {
		switch field {
		case 1:
			v.artifacts = append(v.artifacts, b)
		case 2:
			v.entries = append(v.entries, b)
		case 3:
			v.firstRuns = append(v.firstRuns, b)
		}
		return nil
	})
	return v, err
}

// entry decodes one entry, or one first run.
func (v *LineView) entry(message []byte) (e Entry, err error) {
	text := func(n uint64) (string, error) {
		if n == 0 || n > uint64(len(v.artifacts)) {
			return "", errRecord
		}
		return string(v.artifacts[n-1]), nil
	}
	err = fields(message, func(field protowire.Number, n uint64, b []byte) (err error) {
		switch field {
		case 1:
			e.Time = protowire.DecodeZigZag(n)
		case 2:
			e.ID, err = decodeID(b)
		case 3:
			e.Removed = n != 0
		case 4:
			e.Artifact, err = text(n)
		case 5:
			e.Config, err = decodeID(b)
		case 6:
			e.Key, err = text(n)
		case 7:
			e.Predicate = string(b)
		}
		return err
	})
	return e, err
}

// at gives an entry by its place; a damaged one reads as a removal at no time, so that nothing is judged by it.
func (v *LineView) at(i int) Entry {
	e, err := v.entry(v.entries[i])
	if err != nil {
		return Entry{Removed: true}
	}
	return e
}

// LastBefore is the last entry strictly before a stamp, or the removal that the closing of the environment since then
// brought; false if there is none.
func (v *LineView) LastBefore(environment *Subject, s Stamp) (Entry, bool) {
	var last Entry
	found := false
	for i := len(v.entries) - 1; i >= 0; i-- {
		if e := v.at(i); e.Before(s) {
			last, found = e, true
			break
		}
	}
	for i := len(environment.Closures) - 1; i >= 0; i-- {
		if c := environment.Closures[i]; c.Before(s) {
			if !found || last.Before(c) {
				last, found = Entry{Stamp: c, Removed: true}, true
			}
			break
		}
	}
	return last, found
}

// RunningAt is the deployment that ran at a stamp, or, if the line begins only later (clocks differ), the one that runs
// now; false if none does.
func (v *LineView) RunningAt(environment *Subject, s Stamp) (Entry, bool) {
	last, found := v.LastBefore(environment, s)
	if !found {
		last, found = v.LastBefore(environment, EndOfTime)
	}
	return last, found && !last.Removed
}

// EndOfTime lies behind every stamp: a timestamp of RFC 3339 ends with the year 9999.
var EndOfTime = Stamp{Time: 253402300800000}

// FirstRun says when an artifact first ran in the line; false if not before the stamp.
func (v *LineView) FirstRun(key string, before Stamp) (Stamp, bool) {
	for _, m := range v.firstRuns {
		if r, err := v.entry(m); err == nil && r.Artifact == key {
			return r.Stamp, r.Before(before)
		}
	}
	return Stamp{}, false
}

// Empty tells whether the line has no entry.
func (v *LineView) Empty() bool { return len(v.entries) == 0 }

// Artifacts are the purls that the line's entries name, and the keys of them.
func (v *LineView) Artifacts() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := len(v.artifacts) - 1; i >= 0; i-- {
			if !yield(string(v.artifacts[i])) {
				return
			}
		}
	}
}

// lineSlack is how many entries beyond LineLength a record may have before it is cut back: cutting rewrites all of it.
const lineSlack = 50

// appendToLine adds a delta that only prolongs the line, without rewriting what is there; false if it does more.
func appendToLine(old, delta []byte) ([]byte, bool) {
	l, err := ViewLine(old)
	if err != nil || len(l.entries) == 0 || len(l.entries) >= LineLength+lineSlack {
		return nil, false
	}
	d, err := DecodeLine(delta)
	if err != nil || len(d.Entries) != 1 || len(d.FirstRuns) > 1 {
		return nil, false
	}
	e := &d.Entries[0]
	if last, err := l.entry(l.entries[len(l.entries)-1]); err != nil || !last.Before(e.Stamp) {
		return nil, false
	}
	out := make([]byte, len(old), len(old)+len(delta)+16)
	copy(out, old)
	count := len(l.artifacts)
	number := func(text string) uint64 {
		if text == "" {
			return 0
		}
		for i, a := range l.artifacts {
			if string(a) == text {
				return uint64(i + 1)
			}
		}
		l.artifacts = append(l.artifacts, []byte(text))
		return uint64(len(l.artifacts))
	}
	artifact, key := number(e.Artifact), number(e.Key)
	var first uint64
	if len(d.FirstRuns) == 1 {
		if r := d.FirstRuns[0]; r.Stamp != e.Stamp {
			return nil, false
		} else if _, known := l.FirstRun(r.Artifact, e.Stamp); !known {
			first = number(r.Artifact)
		}
	}
	for _, a := range l.artifacts[count:] {
		out = protowire.AppendTag(out, 1, protowire.BytesType)
		out = protowire.AppendBytes(out, a)
	}
	var room [128]byte
	out = appendMessage(out, 2, e.appendTo(room[:0], artifact, key))
	if first != 0 {
		out = appendMessage(out, 3, appendFirstRun(room[:0], e.Stamp, first))
	}
	return out, true
}
