package arena

import (
	"strings"
	"testing"
)

// TestKeptTexts: texts stay what they were, whatever is kept after them, short or longer than the room that was asked for.
func TestKeptTexts(t *testing.T) {
	var a Arena
	var want, got []string
	for i := range 500 {
		text := strings.Repeat(string(rune('a'+i%26)), i%40*i%700)
		want = append(want, text)
		got = append(got, a.Keep(append(a.Room(i%64), text...)))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("text %d is %q, want %q", i, got[i], want[i])
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		var a Arena
		for range 40 {
			a.Keep(append(a.Room(10), "0123456789"...))
		}
	}); n != 1 {
		t.Errorf("%v allocations for 40 texts of 10 bytes, want 1", n)
	}
}
