// Package deadletters keeps events that cannot be translated or delivered, with the reason and their original bytes: in
// a [File] of JSON lines that people and scripts can read, or in an [Exchange] of a broker.
//
// There is one letter for an event, which is told by its source and its id within a relay: an event that is refused
// again is noted as a repeat of its letter. Other bytes under a source and an id that have a letter already are another
// [Letter.Version] of it, and kept beside the first: whoever reuses an id must not wipe out what came before.
package deadletters

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"
)

// Letter is one event in the dead letters, in one version.
type Letter struct {
	ID        string    `json:"id"`                // made by Append if empty; see [ID]
	Version   string    `json:"version,omitempty"` // of the bytes; made by Append if empty; see [Version]
	Time      time.Time `json:"time"`              // when it was written first
	Received  time.Time `json:"received,omitzero"` // when the relay got the event
	Relay     string    `json:"relay"`
	Direction string    `json:"direction"`         // to "eiffel" or to "cdevents"
	Code      string    `json:"code"`              // a code of translate.EventError, or one of the relay's
	Pointer   string    `json:"pointer,omitempty"` // JSON pointer to what is wrong
	Message   string    `json:"message"`
	EventID   string    `json:"event_id,omitempty"` // if it could be read
	EventType string    `json:"event_type,omitempty"`
	Source    string    `json:"source,omitempty"` // of the event or, if that cannot be read, of the CloudEvent
	Attempts  int       `json:"attempts"`         // how often the relay tried to deliver it

	// Repeats is how often the event was refused again, LastSeen when that was last. The code, the pointer, the message and
	// the attempts are those of the last time.
	Repeats  int       `json:"repeats,omitempty"`
	LastSeen time.Time `json:"last_seen,omitzero"`

	// Round counts the replays that were refused.
	Round int `json:"round,omitempty"`

	// Extensions are the CloudEvents extensions that would have been passed on.
	Extensions map[string]string `json:"extensions,omitempty"`

	// Replayed says that the event came from a replay, and was refused once more: whoever replays is about to end the
	// letter that he has, so that this one must be written whatever is there.
	Replayed bool `json:"-"`

	// Event is the original, byte for byte. In JSON it is a string if it is UTF-8 ("event"), else base64
	// ("event_base64").
	Event []byte `json:"-"`
}

// ID is the id of a letter: equal for the same event in the same relay, which is one of the same source and id. Where one
// of the two cannot be read, it takes the same bytes under the same CloudEvents attributes.
func ID(l Letter) string {
	if l.Source != "" && l.EventID != "" {
		return hash("event", l.Relay, l.Source, l.EventID)
	}
	return hash("bytes", l.Relay, l.Source, l.EventID, l.EventType, string(l.Event))
}

// Version is the version of a letter: equal for the same bytes.
func Version(l Letter) string { return hash(string(l.Event)) }

func hash(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:", len(part))
		_, _ = io.WriteString(h, part) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// complete fills in what Append makes.
func (l Letter) complete(now time.Time) Letter {
	if l.ID == "" {
		l.ID = ID(l)
	}
	if l.Version == "" {
		l.Version = Version(l)
	}
	if l.Time.IsZero() {
		l.Time = now.UTC()
	}
	return l
}

// MarshalJSON writes the letter as it stands in a file.
func (l Letter) MarshalJSON() ([]byte, error) { return json.Marshal(lineOf(l)) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (l *Letter) UnmarshalJSON(text []byte) error {
	type bare Letter // without its methods
	var in struct {
		*bare
		Text  *string `json:"event"`
		Bytes []byte  `json:"event_base64"`
	}
	in.bare = (*bare)(l)
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	l.Event = in.Bytes
	if in.Text != nil {
		l.Event = []byte(*in.Text)
	}
	return nil
}

func lineOf(l Letter) any {
	type bare Letter
	out := struct {
		bare
		Text  *string `json:"event,omitempty"`
		Bytes []byte  `json:"event_base64,omitempty"`
	}{bare: bare(l)}
	if utf8.Valid(l.Event) {
		text := string(l.Event)
		out.Text = &text
	} else {
		out.Bytes = l.Event
	}
	return out
}

// Store is what [File] and [Exchange] have in common. It is safe for concurrent use, by several processes too.
type Store interface {
	// Append makes a letter durable. One that is there already, in this version, is not written again unless it was
	// Replayed. On an error nothing may be assumed; call again. The letter must not be changed until Append returns.
	Append(ctx context.Context, l Letter) error

	// Scan calls f for the letters that were neither replayed nor dropped, each version by itself, in the order in which
	// they came, until f returns an error, which it returns. It does not see what comes while it runs. Where a broker
	// keeps the letters, a repeat may come as a letter of its own; [Group] joins them.
	Scan(ctx context.Context, f func(Letter) error) error

	// Take goes through the letters as Scan does, and calls do for those that want chooses; a nil do does nothing. If do
	// returns nil, that version of the letter has come to its end, which how says ("replayed" or "dropped"), unless a
	// replay was refused meanwhile. It goes on after an error of do; what failed stays. The error is one of the store
	// itself: what was not reached then is still there.
	Take(ctx context.Context, how string, want func(Letter) bool, do func(Letter) error) error

	// Where names the store for people, without secrets.
	Where() string

	// Close waits for what is under way and releases the store. A second call does nothing.
	Close() error
}

// The two ends of a letter, for Take.
const (
	Replayed = "replayed"
	Dropped  = "dropped"
)

// ErrClosed is what a store that was closed answers.
var ErrClosed = errors.New("the dead letters are closed")

// Group is a letter with all its versions, oldest first.
type Group struct {
	Versions []Letter
	Repeats  int       // of all versions, and the further versions themselves
	LastSeen time.Time // when the event was refused last
}

// Latest is the newest version.
func (g *Group) Latest() Letter { return g.Versions[len(g.Versions)-1] }

// First is when the event was refused first.
func (g *Group) First() time.Time { return g.Versions[0].Time }

// MarshalJSON writes the newest version with the numbers of the group, and the versions before it as "earlier".
func (g *Group) MarshalJSON() ([]byte, error) {
	last := g.Latest()
	last.Time, last.Repeats = g.First(), g.Repeats
	if g.Repeats > 0 {
		last.LastSeen = g.LastSeen
	}
	text, err := json.Marshal(last)
	if err != nil || len(g.Versions) == 1 {
		return text, err
	}
	earlier, err := json.Marshal(g.Versions[:len(g.Versions)-1])
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, `%s,"earlier":%s}`, text[:len(text)-1], earlier), nil
}

// Gather joins the letters of a store that want chooses, nil for all, into groups, in the order in which they came. It keeps limit
// groups at most, 0 for all, and tells how many more there are.
func Gather(ctx context.Context, s interface {
	Scan(ctx context.Context, f func(Letter) error) error
}, limit int, want func(Letter) bool) (groups []*Group, more int, err error) {
	byID := map[string]*Group{}
	err = s.Scan(ctx, func(l Letter) error {
		if want != nil && !want(l) {
			return nil
		}
		g, known := byID[l.ID]
		if !known {
			if limit > 0 && len(groups) >= limit {
				byID[l.ID] = nil
				more++
				return nil
			}
			g = &Group{}
			byID[l.ID] = g
			groups = append(groups, g)
		}
		if g != nil {
			g.add(l)
		}
		return nil
	})
	return groups, more, err
}

func (g *Group) add(l Letter) {
	seen := l.Time
	if l.LastSeen.After(seen) {
		seen = l.LastSeen
	}
	if seen.After(g.LastSeen) {
		g.LastSeen = seen
	}
	g.Repeats += l.Repeats
	if len(g.Versions) > 0 {
		g.Repeats++
	}
	for i := range g.Versions {
		v := &g.Versions[i]
		if v.Version == l.Version {
			// A further copy: the newest reason counts, and the place stays.
			l.Time, l.Repeats, l.LastSeen = v.Time, v.Repeats+l.Repeats+1, seen
			*v = l
			return
		}
	}
	g.Versions = append(g.Versions, l)
}
