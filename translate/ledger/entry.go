package ledger

// Entry is a deployment or a removal in the history of a service in an environment. Its stamp stands in its key and not in its
// record.
type Entry struct {
	Stamp
	Removed  bool   `json:"removed,omitempty"`
	Artifact string `json:"artifact,omitempty"` // canonical purl with all qualifiers
	Key      string `json:"key,omitempty"`      // the artifact's key (mapping.md, "Artifacts"), where it differs from Artifact
	Config   string `json:"config,omitempty"`   // target of CONFIGURATION
	// Predicate is how the service event called it, where that is not deployed: upgraded or rolledback.
	Predicate string `json:"predicate,omitempty"`
}

// ArtifactKey is the key of the artifact that was deployed.
func (e *Entry) ArtifactKey() string {
	if e.Key != "" {
		return e.Key
	}
	return e.Artifact
}

// Encode writes the record, which has no stamp.
func (e *Entry) Encode() []byte { return e.AppendTo([]byte{}) }

// AppendTo appends the record, which has no stamp.
func (e *Entry) AppendTo(b []byte) []byte {
	b = appendBool(b, 1, e.Removed)
	b = appendText(b, 2, e.Artifact)
	b = appendText(b, 3, e.Key)
	b = appendID(b, 4, e.Config)
	return appendText(b, 5, e.Predicate)
}

// DecodeEntry reads the record of the entry that happened at s.
func DecodeEntry(s Stamp, record []byte) (*Entry, error) {
	d := decoderOf(record)
	r := d.read(record)
	e := r.entry()
	e.Stamp = s
	return &e, r.err
}

func (r *reader) entry() (e Entry) {
	for r.next() {
		switch r.field {
		case 1:
			e.Removed = r.bool()
		case 2:
			e.Artifact = r.text()
		case 3:
			e.Key = r.text()
		case 4:
			e.Config = r.id()
		case 5:
			e.Predicate = r.text()
		}
	}
	return e
}

// Head says how far a history has come: enough to judge what happens after all that is known, which nearly all events do.
type Head struct {
	Entries uint64 `json:"entries"` // how many are kept
	// Epoch counts how often the entries were counted anew and cut back to the last [LineLength].
	Epoch uint64 `json:"epoch,omitempty"`
	Last  Entry  `json:"last"` // the entry with the latest stamp
}

// Encode writes the record.
func (h *Head) Encode() []byte { return h.AppendTo([]byte{}) }

// AppendTo appends the record.
func (h *Head) AppendTo(b []byte) []byte {
	b = appendNumber(b, 4, h.Entries)
	b = appendNumber(b, 5, h.Epoch)
	var m int
	if h.Last.Stamp != (Stamp{}) {
		b, m = openMessage(b, 6)
		b = closeMessage(h.Last.Stamp.AppendTo(b), m)
	}
	b, m = openMessage(b, 7)
	return closeMessage(h.Last.AppendTo(b), m)
}

// DecodeHead reads a record; a nil one is the head of an empty history. A [Line] is none.
func DecodeHead(record []byte) (*Head, error) {
	h, err := decoderOf(record).Head(record)
	return &h, err
}

// Head reads a record, as [DecodeHead] does.
func (d Decoder) Head(record []byte) (h Head, err error) {
	if len(record) == 0 {
		return h, nil
	}
	r := d.read(record)
	var s Stamp
	for r.next() {
		switch r.field {
		case 1, 2, 3:
			r.failed(errRecord)
		case 4:
			h.Entries = r.number
		case 5:
			h.Epoch = r.number
		case 6:
			s = r.stampWithin()
		case 7:
			m := r.within()
			h.Last = m.entry()
			r.failed(m.err)
		}
	}
	h.Last.Stamp = s
	return h, r.err
}

// supersedes tells whether a head is a later one of the history than another, by their records; false also where that takes
// a closer look.
func supersedes(later, record []byte) bool {
	a, b := orderOf(later), orderOf(record)
	return a.ok && b.ok && a.time > b.time && (a.epoch > b.epoch || a.epoch == b.epoch && a.entries > b.entries)
}

// headOrder is what orders the heads of a history, but for events of one time.
type headOrder struct {
	entries, epoch uint64
	time           int64
	ok             bool
}

func orderOf(record []byte) (o headOrder) {
	r := reader{rest: record}
	for r.next() {
		switch r.field {
		case 4:
			o.entries = r.number
		case 5:
			o.epoch = r.number
		case 6:
			o.time, o.ok = r.timeWithin()
		}
	}
	o.ok = o.ok && r.err == nil
	return o
}

// merge keeps the head that was counted later. It counts entries that others add at the same time only once where nobody saw to
// it that they come one after the other; the next count mends that.
func (h *Head) merge(d *Head) {
	if d.Epoch > h.Epoch || d.Epoch == h.Epoch && d.Entries > h.Entries {
		h.Entries, h.Epoch = d.Entries, d.Epoch
	}
	if h.Last.Before(d.Last.Stamp) {
		h.Last = d.Last
	}
}
