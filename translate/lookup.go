package translate

// lookup is a map for few entries: a list while it is small, which most are, and a map from then on, so that many cost no
// more for each than a few.
type lookup[K comparable, V any] struct {
	entries []entryOf[K, V]
	index   map[K]int
	room    [usualEntries]entryOf[K, V]
}

type entryOf[K comparable, V any] struct {
	key   K
	value V
}

const (
	usualEntries = 4
	fewEntries   = 24
)

// get gives the value that was put last under the key.
func (l *lookup[K, V]) get(key K) (value V, ok bool) {
	if l.index != nil {
		at, ok := l.index[key]
		if !ok {
			return value, false
		}
		return l.entries[at].value, true
	}
	for i := len(l.entries) - 1; i >= 0; i-- {
		if l.entries[i].key == key {
			return l.entries[i].value, true
		}
	}
	return value, false
}

func (l *lookup[K, V]) put(key K, value V) {
	if l.entries == nil {
		l.entries = l.room[:0]
	}
	l.entries = append(l.entries, entryOf[K, V]{key, value})
	switch {
	case l.index != nil:
		l.index[key] = len(l.entries) - 1
	case len(l.entries) > fewEntries:
		l.index = make(map[K]int, 2*fewEntries)
		for i := range l.entries {
			l.index[l.entries[i].key] = i
		}
	}
}

func (l *lookup[K, V]) reset() {
	l.entries, l.index = l.entries[:0], nil
}
