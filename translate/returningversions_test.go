package translate_test

import (
	"testing"

	"github.com/eiffelbridge/eiffelbridge/translate"
)

// TestAnOlderVersionThatComesRound has an environment created and modified, and then the first definition come round late: what
// is modified next still follows the second, in both directions and whatever is done about what comes round.
func TestAnOlderVersionThatComesRound(t *testing.T) {
	for _, mode := range []translate.Returning{translate.ReturningGiveBack, translate.ReturningDrop, translate.ReturningRestore} {
		s := newSession(t, translate.Settings{Returning: mode})
		l := life(t)
		first := only(t, through(t, s, l[0]))
		second := only(t, through(t, s, l[5]))
		through(t, s, string(first.JSON))
		third := edit(t, l[5], func(event map[string]any) { object(event, "context")["id"] = "env-2b" })
		if got := target(t, only(t, through(t, s, third)), "PREVIOUS_VERSION"); got != second.ID {
			t.Errorf("mode %s: the third version follows %s, want %s", mode, got, second.ID)
		}
	}
}
