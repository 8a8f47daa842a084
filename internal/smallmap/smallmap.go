// Package smallmap is a map for few entries.
package smallmap

// Map is a list while it is small, which most are, and a map from then on, so that many entries cost no more for each than a
// few. The zero value is ready for use. It is not safe for concurrent use.
type Map[K comparable, V any] struct {
	entries []entry[K, V]
	index   map[K]int
	room    [usual]entry[K, V]
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

const (
	usual = 4
	// Few is up to how many entries a list is searched as fast as a map.
	Few = 24
)

// Get gives the value that was put last under the key.
func (m *Map[K, V]) Get(key K) (value V, ok bool) {
	if m.index != nil {
		at, ok := m.index[key]
		if !ok {
			return value, false
		}
		return m.entries[at].value, true
	}
	for i := len(m.entries) - 1; i >= 0; i-- {
		if m.entries[i].key == key {
			return m.entries[i].value, true
		}
	}
	return value, false
}

// Put adds an entry, before which another of the same key no longer counts.
func (m *Map[K, V]) Put(key K, value V) {
	if m.entries == nil {
		m.entries = m.room[:0]
	}
	m.entries = append(m.entries, entry[K, V]{key, value})
	switch {
	case m.index != nil:
		m.index[key] = len(m.entries) - 1
	case len(m.entries) > Few:
		m.index = make(map[K]int, 2*Few)
		for i := range m.entries {
			m.index[m.entries[i].key] = i
		}
	}
}

// Reset forgets all entries and keeps the memory.
func (m *Map[K, V]) Reset() { m.entries, m.index = m.entries[:0], nil }
