package ledger

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// Entry is a deployment or a removal in the history of a service in an environment. Its stamp stands in its key and not in its
// record.
type Entry struct {
	Stamp
	Removed  bool   `json:"removed,omitempty"`
	Artifact string `json:"artifact,omitempty"` // canonical purl with all qualifiers
	Key      string `json:"key,omitempty"`      // the artifact's key (section 2), where it differs from Artifact
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
func (e *Entry) Encode() []byte { return e.appendTo([]byte{}) }

func (e *Entry) appendTo(b []byte) []byte {
	b = appendBool(b, 1, e.Removed)
	b = appendText(b, 2, e.Artifact)
	b = appendText(b, 3, e.Key)
	b = appendID(b, 4, e.Config)
	return appendText(b, 5, e.Predicate)
}

// DecodeEntry reads the record of the entry that happened at s.
func DecodeEntry(s Stamp, record []byte) (*Entry, error) {
	e := &Entry{Stamp: s}
	err := fields(record, func(field protowire.Number, n uint64, v []byte) (err error) {
		switch field {
		case 1:
			e.Removed = n != 0
		case 2:
			e.Artifact = string(v)
		case 3:
			e.Key = string(v)
		case 4:
			e.Config, err = decodeID(v)
		case 5:
			e.Predicate = string(v)
		}
		return err
	})
	return e, err
}

// Head says how far a history has come: enough to judge what happens after all that is known, which nearly all events do.
type Head struct {
	Entries uint64 `json:"entries"` // how many are kept
	// Epoch counts how often the entries were counted anew and cut back to the last [LineLength].
	Epoch uint64 `json:"epoch,omitempty"`
	Last  Entry  `json:"last"` // the entry with the latest stamp
}

// Encode writes the record.
func (h *Head) Encode() []byte {
	b := appendNumber([]byte{}, 4, h.Entries)
	b = appendNumber(b, 5, h.Epoch)
	var room [256]byte
	if h.Last.Stamp != (Stamp{}) {
		b = appendMessage(b, 6, h.Last.Stamp.appendTo(room[:0]))
	}
	return appendMessage(b, 7, h.Last.appendTo(room[:0]))
}

// DecodeHead reads a record; a nil one is the head of an empty history. A [Line] is none.
func DecodeHead(record []byte) (*Head, error) {
	h := &Head{}
	var s Stamp
	err := fields(record, func(field protowire.Number, n uint64, v []byte) (err error) {
		switch field {
		case 1, 2, 3:
			return errRecord
		case 4:
			h.Entries = n
		case 5:
			h.Epoch = n
		case 6:
			s, err = DecodeStamp(v)
		case 7:
			var e *Entry
			e, err = DecodeEntry(Stamp{}, v)
			h.Last = *e
		}
		return err
	})
	h.Last.Stamp = s
	return h, err
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
