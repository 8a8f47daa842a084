package amqp091

// A delivery's way through the tracker.
type state byte

const (
	waiting state = iota // came in, and is not with the relay
	handed               // with the relay
	held                 // to be handed over again later
	settled              // may be acknowledged
	done                 // acknowledged or given back already
)

// tracker knows what of a channel's deliveries may be acknowledged. A channel numbers its deliveries from 1 without gaps,
// so they lie in a slice. It is not safe for concurrent use.
type tracker struct {
	first   uint64 // tag of entries[0]
	entries []state
	handed  int // how many are with the relay
	ready   int // how many are settled
}

// add takes the next delivery; false if that is not the one that must come next.
func (t *tracker) add(tag uint64) bool {
	if tag != t.first+uint64(len(t.entries)) {
		return false
	}
	t.entries = append(t.entries, waiting)
	return true
}

// move changes the state of a delivery that is not done.
func (t *tracker) move(tag uint64, to state) {
	e := &t.entries[tag-t.first]
	t.count(*e, -1)
	*e = to
	t.count(to, 1)
}

func (t *tracker) count(s state, by int) {
	switch s {
	case handed:
		t.handed += by
	case settled:
		t.ready += by
	}
}

// due tells whether acknowledgements should go out now rather than in a few milliseconds: there are enough of them, or
// nothing is in flight that could bring more.
func (t *tracker) due(enough int) bool {
	return t.ready > 0 && (t.ready >= enough || t.handed == 0)
}

// take gives what to acknowledge, and forgets it: everything up to prefix at once (none if it is 0), and the tags in single
// one by one. Those are behind a delivery that has not been settled. They are taken if there are at least crowd of them, or
// if the foremost delivery is held for a later attempt: it must not keep the prefetch window from moving on, all the less
// as it may be waiting for one that is yet to come.
func (t *tracker) take(crowd int) (prefix uint64, single []uint64) {
	for len(t.entries) > 0 && t.entries[0] >= settled {
		if t.entries[0] == settled {
			// Only a tag that is still open may be named, so never that of one that was given back.
			prefix = t.first
			t.ready--
		}
		t.entries = t.entries[1:]
		t.first++
	}
	if t.ready > 0 && (t.ready >= crowd || t.entries[0] == held) {
		for i := range t.entries {
			if t.entries[i] == settled {
				tag := t.first + uint64(i)
				single = append(single, tag)
				t.move(tag, done)
			}
		}
	}
	return prefix, single
}
