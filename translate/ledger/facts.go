package ledger

import "github.com/eiffelbridge/eiffelbridge/internal/smallmap"

// Facts are the answers a caller has for the queries that a translation may ask. The zero value is ready for use. It is
// not safe for concurrent use.
type Facts struct {
	answers smallmap.Map[Query, []byte]
}

// Add notes the answer to a query; a nil record says that the ledger has nothing. The record is retained. Of several answers
// to one query the last counts.
func (f *Facts) Add(q Query, record []byte) { f.answers.Put(q, record) }

// Reset forgets all answers and keeps the memory.
func (f *Facts) Reset() { f.answers.Reset() }

// Get gives the answer to a query, and whether there is one.
func (f *Facts) Get(q Query) ([]byte, bool) { return f.answers.Get(q) }
