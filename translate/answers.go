package translate

import (
	"github.com/eiffelbridge/eiffelbridge/internal/smallmap"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// answer is a question of a translation, what the ledger has answered, and what that says, once it was decoded.
type answer struct {
	ledger.Question
	key    string // of the record
	read   bool   // record is the answer
	record []byte // nil: the ledger has nothing

	subject  *ledger.Subject
	event    *ledger.EiffelEvent
	contexts ledger.Contexts
	line     *ledger.History
}

// answers are those of one translation, each question once: a list that is searched while it is short, which it mostly is, and
// has an index from then on, so that many cost no more for each than a few.
type answers struct {
	list  []answer
	index map[ledger.Question]int
}

// find gives the answer to a question, nil if it was not asked. The next add may move it.
func (l *answers) find(q *ledger.Question) *answer {
	if l.index != nil {
		if at, ok := l.index[*q]; ok {
			return &l.list[at]
		}
		return nil
	}
	for i := range l.list {
		if a := &l.list[i]; a.Kind == q.Kind && a.Question == *q {
			return a
		}
	}
	return nil
}

// add adds a question that was not asked yet.
func (l *answers) add(q ledger.Question, key string) *answer {
	l.list = append(l.list, answer{Question: q, key: key})
	at := len(l.list) - 1
	switch {
	case l.index != nil:
		l.index[q] = at
	case at >= smallmap.Few:
		l.index = make(map[ledger.Question]int, 2*smallmap.Few)
		for i := range l.list {
			l.index[l.list[i].Question] = i
		}
	}
	return &l.list[at]
}

// last are the answers that were added last.
func (l *answers) last(n int) []answer { return l.list[len(l.list)-n:] }

func (l *answers) reset() {
	clear(l.list)
	l.list, l.index = l.list[:0], nil
}
