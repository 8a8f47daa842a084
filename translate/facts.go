package translate

// Facts are the answers a caller has for the queries that a translation may ask. The zero value is ready for use. It is
// not safe for concurrent use.
type Facts struct {
	answers []Fact
}

// Add notes the answer to a query; a nil record says that the ledger has nothing. The record is retained.
func (f *Facts) Add(q Query, record []byte) {
	f.answers = append(f.answers, Fact{Query: q, Record: record})
}

// Reset forgets all answers and keeps the memory.
func (f *Facts) Reset() { f.answers = f.answers[:0] }

// Get gives the answer to a query, and whether there is one. There are seldom more than twenty answers, so a scan
// from the newest beats a map.
func (f *Facts) Get(q Query) ([]byte, bool) {
	for i := len(f.answers) - 1; i >= 0; i-- {
		if f.answers[i].Query == q {
			return f.answers[i].Record, true
		}
	}
	return nil, false
}
