package uuid_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/eiffelbridge/eiffelbridge/internal/uuid"
)

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))
		text := uuid.Format(want[:])
		got, ok := uuid.Parse(text)
		if !ok || got != want {
			t.Fatalf("%x was written as %s and read as %x, %t", want, text, got, ok)
		}
	})
}

func TestWritten(t *testing.T) {
	raw := []byte{0x35, 0xd9, 0xd2, 0x88, 0xe0, 0x01, 0x57, 0x8a, 0x80, 0x8e, 0x3b, 0xc1, 0xe5, 0x12, 0xcb, 0x78}
	const want = "35d9d288-e001-578a-808e-3bc1e512cb78"
	if got := uuid.Format(raw); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, text := range []string{"", want[:35], want + "0", strings.ToUpper(want), strings.Replace(want, "-", "_", 1), "{" + want[1:],
		strings.Replace(want, "3", "g", 1), "-----------------------------------" + "-"} {
		if _, ok := uuid.Parse(text); ok {
			t.Errorf("%q was read", text)
		}
	}
}
