package ledger

import (
	"strings"
	"sync"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// cache keeps the records that were read or written last; an entry with a nil record says that there is none. It has
// two generations: when the young one is full it becomes the old one, and what is used again moves over. That keeps
// the busy subjects through a stream of events that are each met once.
type cache struct {
	mu         sync.Mutex
	young, old map[ledger.Query]dated
	size       int // of young, in bytes
	limit      int // of young, in bytes
}

// entryOverhead is about what an entry takes beside its texts.
const entryOverhead = 120

func newCache(bytes int) *cache {
	return &cache{young: map[ledger.Query]dated{}, limit: bytes / 2}
}

func (c *cache) get(q ledger.Query) (dated, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d, ok := c.young[q]; ok {
		return d, true
	}
	d, ok := c.old[q]
	if ok {
		c.put(q, d)
	}
	return d, ok
}

// add puts or replaces an entry. The record is retained, the key is not.
func (c *cache) add(q ledger.Query, d dated) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.young[q]; ok {
		c.size += len(d.record) - len(known.record)
		c.young[q] = d
		return
	}
	// The caller's key may be a part of a larger text.
	q.Key = strings.Clone(q.Key)
	c.put(q, d)
}

func (c *cache) put(q ledger.Query, d dated) {
	c.young[q] = d
	c.size += len(q.Key) + len(d.record) + entryOverhead
	if c.size > c.limit {
		c.old, c.young, c.size = c.young, map[ledger.Query]dated{}, 0
	}
}

func (c *cache) remove(q ledger.Query) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d, ok := c.young[q]; ok {
		c.size -= len(q.Key) + len(d.record) + entryOverhead
		delete(c.young, q)
	}
	delete(c.old, q)
}
