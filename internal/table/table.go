// Package table keeps records by key in memory that the garbage collector need not look into, however many there are.
package table

import (
	"hash/maphash"
	"math/bits"
)

// Table has records by kind and key, each with a revision. It consists of lists without pointers. Its hashes have a seed of their own,
// so that no sender can choose keys that are slow to find; nothing that it gives depends on the seed. It is not safe for concurrent use.
type Table struct {
	seed  maphash.Seed
	slots []slot  // of a hash table with linear probing; a power of two
	pages []*page // the entries, in no order, so that none moves when there are more
	count int32   // of entries that are or were used
	free  []int32 // those that are not any more
	texts texts
}

type page [256]entry

func (t *Table) entry(at int32) *entry { return &t.pages[at/256][at%256] }

// slot says where an entry stands. The zero slot is free.
type slot struct {
	hash uint32 // its upper half
	at   int32  // its number, plus one
}

// entry is a record and its key.
type entry struct {
	hash     uint64
	revision uint64
	key      text
	record   text
	kind     byte // 0: it is not used
}

// New is an empty table.
func New() Table { return Table{seed: maphash.MakeSeed(), slots: make([]slot, 16)} }

// Hash is what the other methods want for a key.
func (t *Table) Hash(kind byte, key string) uint64 {
	return maphash.String(t.seed, key) ^ uint64(kind)*0x9e3779b97f4a7c15 // a number whose bits are mixed
}

// Find gives the number of the entry of a key, -1 if there is none. It stays the same as long as the entry is there.
func (t *Table) Find(hash uint64, kind byte, key string) int32 {
	for i := t.home(hash); t.slots[i].at != 0; i = t.after(i) {
		if s := t.slots[i]; s.hash == uint32(hash>>32) {
			e := t.entry(s.at - 1)
			if e.kind == kind && string(t.texts.get(e.key)) == key {
				return s.at - 1
			}
		}
	}
	return -1
}

// Key is the key of an entry. It must not be changed.
func (t *Table) Key(at int32) []byte { return t.texts.get(t.entry(at).key) }

// Record is the record of an entry, never nil, and its revision. It must not be changed and may be retained.
func (t *Table) Record(at int32) ([]byte, uint64) {
	e := t.entry(at)
	return t.texts.get(e.record), e.revision
}

// Entries calls f with the number of each entry of a kind, in no order.
func (t *Table) Entries(kind byte, f func(at int32)) {
	for at := range t.count {
		if t.entry(at).kind == kind {
			f(at)
		}
	}
}

// home is the slot where an entry stands if it is free.
func (t *Table) home(hash uint64) int { return int(hash) & (len(t.slots) - 1) }

func (t *Table) after(i int) int { return (i + 1) & (len(t.slots) - 1) }

// Add adds a record under a key that there is none of, with texts of its own. A kind is not 0.
func (t *Table) Add(hash, revision uint64, kind byte, key string, record []byte) int32 {
	if 4*(int(t.count)-len(t.free)+1) > 3*len(t.slots) {
		t.grow()
	}
	at := t.count
	if n := len(t.free); n > 0 {
		at, t.free = t.free[n-1], t.free[:n-1]
	} else {
		if t.count++; int(at)/256 == len(t.pages) {
			t.pages = append(t.pages, &page{})
		}
	}
	k := t.texts.put(key)
	*t.entry(at) = entry{hash, revision, k, t.texts.putBytes(record), kind}
	t.place(hash, at)
	return at
}

// place writes the slot of an entry.
func (t *Table) place(hash uint64, at int32) {
	i := t.home(hash)
	for t.slots[i].at != 0 {
		i = t.after(i)
	}
	t.slots[i] = slot{uint32(hash >> 32), at + 1}
}

func (t *Table) grow() {
	t.slots = make([]slot, 2*len(t.slots))
	for at := range t.count {
		if e := t.entry(at); e.kind != 0 {
			t.place(e.hash, at)
		}
	}
}

// Set gives an entry another record.
func (t *Table) Set(at int32, revision uint64, record []byte) {
	e := t.entry(at)
	t.texts.drop(e.record)
	e.record, e.revision = t.texts.putBytes(record), revision
	t.tidy()
}

// Remove takes an entry out. The slots behind it move up as far as they may, so that no search ends too early.
func (t *Table) Remove(at int32) {
	e := t.entry(at)
	gap := t.home(e.hash)
	for t.slots[gap].at != at+1 {
		gap = t.after(gap)
	}
	for i := t.after(gap); t.slots[i].at != 0; i = t.after(i) {
		home := t.home(t.entry(t.slots[i].at - 1).hash)
		if (i-home)&(len(t.slots)-1) >= (i-gap)&(len(t.slots)-1) {
			t.slots[gap], gap = t.slots[i], i
		}
	}
	t.slots[gap] = slot{}
	t.texts.drop(e.key)
	t.texts.drop(e.record)
	*e = entry{}
	t.free = append(t.free, at)
	t.tidy()
}

// tidy copies the texts that are in use to new memory when most are not. Records that somebody has read stay what they are.
func (t *Table) tidy() {
	if t.texts.unused < largestChunk || 2*t.texts.unused < t.texts.size {
		return
	}
	var tidied texts
	for at := range t.count {
		if e := t.entry(at); e.kind != 0 {
			e.key = tidied.putBytes(t.texts.get(e.key))
			e.record = tidied.putBytes(t.texts.get(e.record))
		}
	}
	t.texts = tidied
}

// texts are many short texts in few pieces of memory. What was put there never changes.
type texts struct {
	chunks [][]byte
	size   int // of all that was put, in bytes
	unused int // of what was dropped since
}

// text is where a text stands.
type text struct {
	chunk, from uint32
	length      uint32
}

const (
	smallestChunk = 1 << 10
	largestChunk  = 1 << 18
)

func (t *texts) get(x text) []byte {
	if x.length == 0 {
		return []byte{}
	}
	return t.chunks[x.chunk][x.from : x.from+x.length : x.from+x.length]
}

func (t *texts) put(s string) text {
	x := t.room(len(s))
	copy(t.get(x), s)
	return x
}

func (t *texts) putBytes(b []byte) text {
	x := t.room(len(b))
	copy(t.get(x), b)
	return x
}

// room makes room for a text of n bytes. A chunk is as large as all before it, within bounds.
func (t *texts) room(n int) text {
	last := len(t.chunks) - 1
	if last < 0 || cap(t.chunks[last])-len(t.chunks[last]) < n {
		size := min(max(smallestChunk, 1<<bits.Len(uint(t.size))), largestChunk)
		t.chunks = append(t.chunks, make([]byte, 0, max(n, size)))
		last++
	}
	c := &t.chunks[last]
	from := len(*c)
	*c = (*c)[:from+n]
	t.size += n
	return text{uint32(last), uint32(from), uint32(n)}
}

func (t *texts) drop(x text) { t.unused += int(x.length) }
