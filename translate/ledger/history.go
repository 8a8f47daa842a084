package ledger

import (
	"cmp"
	"slices"
)

// LineLength is how many entries of a history are kept at least.
const LineLength = 100

// lineSlack is how many entries beyond LineLength a history may have before it is cut back: cutting reads all of it.
const lineSlack = 50

// LineMost is how many entries a history has at most.
const LineMost = LineLength + lineSlack

// Reader gives the record that answers a query: nil if there is nothing. It also gives nil if the answer is not known yet; what a
// [History] then says is worth nothing, and it will be asked again.
type Reader func(q Query) []byte

// History is what happened to a service in an environment, as far as a reader knows it. Nearly every question is about the
// end of it, which is in its head: one record. Only what came late, or out of its order, makes it read entries.
//
// A history keeps its last 100 entries at least, in the order of their stamps. An entry that makes it more than 150 has
// it cut back to the last 100; with the others go the first runs of artifacts that no kept entry names. Whoever adds an
// entry sees to that: it knows by the head's count that the bound is reached, reads the entries once, and has the ledger
// forget what is too old ([Fact.Forget]). So a store merges, puts and removes single records and knows nothing of
// histories; what changes is in the read and write set of a translation like everything else; and it is the same in
// every store. It stands repetition:
//
//   - The facts of one entry, applied twice, or again together with those of later ones, are the same as once: an entry
//     that is there stays, a count is written as a number and not as one more, a later count wins, and what was to be
//     forgotten is gone.
//   - A redelivery finds its entry and adds nothing. One whose entry was forgotten meanwhile adds it again, as the
//     oldest, which makes the next cut come sooner and changes nothing of what is newer.
//   - An entry that comes late has its place by its stamp. If it is older than all and makes it too many, it goes at once.
type History struct {
	read Reader
	line string // the key of its LineFact
	head Head

	decoder Decoder
}

// OpenHistory reads the head of a history. With an error the history is an empty one.
func OpenHistory(read Reader, service, environment SubjectKey) (*History, error) {
	return OpenLine(read, LineQuery(service, environment).Key)
}

// OpenLine is OpenHistory by the key of the line.
func OpenLine(read Reader, key string) (*History, error) {
	h := &History{}
	err := decoderOfSize(0).OpenLine(h, read, key, read(Query{Kind: LineFact, Key: key}))
	return h, err
}

// OpenLine is [OpenLine] for a history whose head was read already.
func (d Decoder) OpenLine(h *History, read Reader, key string, record []byte) error {
	*h = History{read: read, line: key, decoder: d}
	head, err := d.Head(record)
	if err == nil {
		h.head = head
	}
	return err
}

// Empty tells whether the history has no entry.
func (h *History) Empty() bool { return h.head.Entries == 0 }

// LastBefore is the last entry strictly before a stamp, or the removal that the closing of the environment since then
// brought; false if there is none. An entry whose record is damaged reads as a removal at no time, so that nothing is
// judged by it.
func (h *History) LastBefore(environment *Subject, s Stamp) (Entry, bool) {
	last, found := h.head.Last, !h.Empty()
	if found && !last.Before(s) {
		last, found = Entry{}, false
		q := Query{EntryFact, h.line, Range{Before: s.Text(), Limit: 1}}
		for name, record := range Records(h.read(q)) {
			last, found = entryOf(name, record), true
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

// entryOf is a record of a range read.
func entryOf(name, record []byte) Entry {
	s, ok := ParseStamp(unquote(name))
	if !ok {
		return Entry{Removed: true}
	}
	e, err := DecodeEntry(s, record)
	if err != nil {
		return Entry{Removed: true}
	}
	return *e
}

// RunningAt is the deployment that ran at a stamp, or, if the history begins only later (clocks differ), the one that runs
// now; false if none does.
func (h *History) RunningAt(environment *Subject, s Stamp) (Entry, bool) {
	last, found := h.LastBefore(environment, s)
	if !found {
		last, found = h.LastBefore(environment, EndOfTime)
	}
	return last, found && !last.Removed
}

// FirstRun says when the artifact with that key first ran; false if not before the stamp.
func (h *History) FirstRun(key string, before Stamp) (Stamp, bool) {
	record := h.read(Query{Kind: FirstRunFact, Key: childKey(h.line, key)})
	if record == nil {
		return Stamp{}, false
	}
	first, err := h.decoder.Stamp(record)
	if err != nil {
		return Stamp{}, false
	}
	return first, first.Before(before)
}

// Whole reads all of it.
func (h *History) Whole() *Line {
	l := &Line{}
	for _, e := range h.entries() {
		l.Entries = append(l.Entries, e.Entry)
	}
	for name, record := range Records(h.read(h.all(FirstRunFact))) {
		if first, err := DecodeStamp(record); err == nil {
			l.FirstRuns = append(l.FirstRuns, FirstRun{unquote(name), first})
		}
	}
	return l
}

func (h *History) all(kind FactKind) Query { return Query{kind, h.line, Range{Limit: All}} }

// keyed is an entry and the key that it stands under, which a damaged one does not tell.
type keyed struct {
	key string
	Entry
}

// entries are all of them, oldest first.
func (h *History) entries() []keyed {
	q := h.all(EntryFact)
	from, _ := q.Bounds()
	var out []keyed
	for name, record := range Records(h.read(q)) {
		out = append(out, keyed{from + string(name) + `"]`, entryOf(name, record)})
	}
	slices.Reverse(out)
	return out
}

// Append appends to facts what the ledger must learn when an entry comes to the history. The history itself stays as it was
// read: a second entry needs a reader that knows the first one's facts.
func (h *History) Append(facts []Fact, e Entry) []Fact {
	room := h.decoder.facts
	entry := Query{Kind: EntryFact, Key: room.Keep(appendEntryKey(room.Room(len(h.line)+64), h.line, e.Stamp))}
	var firstRun Fact
	if !e.Removed {
		key := e.ArtifactKey()
		firstRun.Query = Query{Kind: FirstRunFact, Key: room.Keep(appendChildKey(room.Room(len(h.line)+len(key)+16), h.line, key))}
		firstRun.Record = room.KeepBytes(e.Stamp.AppendTo(room.Room(32)))
	}
	// Behind the last one there is none yet, so that nothing is asked.
	if !h.Empty() && !h.head.Last.Before(e.Stamp) && h.read(entry) != nil {
		if !e.Removed {
			facts = append(facts, firstRun)
		}
		return facts
	}
	if h.head.Entries >= LineMost {
		return h.count(facts, &e)
	}
	head := Head{Entries: h.head.Entries + 1, Epoch: h.head.Epoch, Last: h.head.Last}
	if h.Empty() || head.Last.Before(e.Stamp) {
		head.Last = e
	}
	facts = append(facts,
		Fact{Query: entry, Record: room.KeepBytes(e.AppendTo(room.Room(128)))},
		Fact{Query: Query{Kind: LineFact, Key: h.line}, Record: room.KeepBytes(head.AppendTo(room.Room(192)))})
	if !e.Removed {
		facts = append(facts, firstRun)
	}
	return facts
}

// Recount appends to facts what makes the head right again, and the history short enough, after entries came to it by
// another way than Append, such as the import of a dump.
func (h *History) Recount(facts []Fact) []Fact { return h.count(facts, nil) }

// count counts the entries, with one that is new, and forgets what is too old.
func (h *History) count(facts []Fact, added *Entry) []Fact {
	entries := h.entries()
	at := -1 // of the new one
	if added != nil {
		e := keyed{entryKey(h.line, added.Stamp), *added}
		at, _ = slices.BinarySearchFunc(entries, e.key, func(e keyed, key string) int { return cmp.Compare(e.key, key) })
		entries = slices.Insert(entries, at, e)
	}
	gone := 0
	if len(entries) > LineMost {
		gone = len(entries) - LineLength
	}
	kept := entries[gone:]
	if len(kept) == 0 {
		return facts
	}
	head := Head{Entries: uint64(len(kept)), Epoch: h.head.Epoch, Last: kept[len(kept)-1].Entry}
	if added == nil && gone == 0 && head.Entries == h.head.Entries && !h.head.Last.Before(head.Last.Stamp) {
		return facts
	}
	head.Epoch++
	for i := range entries {
		fact := Fact{Query: Query{Kind: EntryFact, Key: entries[i].key}}
		switch {
		case i < gone && i != at:
			fact.Forget = true
		case i >= gone && i == at:
			fact.Record = added.Encode()
		default:
			continue
		}
		facts = append(facts, fact)
	}
	facts = append(facts, Fact{Query: Query{Kind: LineFact, Key: h.line}, Record: head.Encode()})
	named := make(map[string]bool, len(kept))
	for i := range kept {
		if !kept[i].Removed {
			named[kept[i].ArtifactKey()] = true
		}
	}
	if gone > 0 {
		for name := range Records(h.read(h.all(FirstRunFact))) {
			if key := unquote(name); !named[key] {
				facts = append(facts, Fact{Query: Query{Kind: FirstRunFact, Key: childKey(h.line, key)}, Forget: true})
			}
		}
	}
	if added != nil && !added.Removed && named[added.ArtifactKey()] {
		facts = append(facts, Fact{Query: Query{Kind: FirstRunFact, Key: childKey(h.line, added.ArtifactKey())}, Record: added.Stamp.Encode()})
	}
	return facts
}
