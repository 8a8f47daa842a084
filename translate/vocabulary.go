package translate

import (
	"slices"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/mappings"
)

// vocabulary translates the words of an enumeration, both ways.
type vocabulary struct{ *mappings.Vocabulary }

// eiffel gives the Eiffel word for one of CDEvents, in any case; known is false where the vocabulary does not have it and
// the word is what stands for all others: "" for none.
func (v vocabulary) eiffel(word string) (eiffel string, known bool) {
	for _, w := range v.Words {
		for _, have := range w.CDEvents {
			if strings.EqualFold(have, word) {
				return w.Eiffel[0], true
			}
		}
	}
	return v.Otherwise.Eiffel, false
}

// cdevents gives the CDEvents word for one of Eiffel: the first of its meaning that is among allowed, if that is not nil.
func (v vocabulary) cdevents(word string, allowed []string) (cdevents string, known bool) {
	for _, w := range v.Words {
		if slices.Contains(w.Eiffel, word) {
			return writable(w.CDEvents, allowed), true
		}
	}
	return v.Otherwise.CDEvents, false
}

func writable(words, allowed []string) string {
	for _, w := range words {
		if allowed == nil || slices.Contains(allowed, w) {
			return w
		}
	}
	return words[0]
}
