package translate

import (
	"testing"
	"time"
)

// FuzzPlainTimestamps holds the quick way to read a timestamp to time.Parse, and to what writes timestamps.
func FuzzPlainTimestamps(f *testing.F) {
	for _, s := range []string{
		"2026-03-20T08:40:00Z", "2026-03-20T08:40:00.123Z", "0000-01-01T00:00:00Z", "9999-12-28T23:59:59.999Z", "1969-12-28T23:59:59.999Z",
		"2026-02-29T00:00:00Z", "2026-02-28T24:00:00Z", "2026-02-28T23:60:00Z", "2026-02-28T23:59:60Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
		"2026-01-00T00:00:00Z", "2026-03-20T08:40:00.12Z", "2026-03-20T08:40:00,123Z", "2026-03-20t08:40:00z", "2026-03-20T08:40:00.1x3Z", "202a-03-20T08:40:00Z",
	} {
		f.Add(s, int64(0))
	}
	f.Add("", int64(1773996000123))
	f.Add("", int64(-1))
	f.Fuzz(func(t *testing.T, s string, ms int64) {
		if got, ok := millisFromPlain(s); ok {
			want, err := time.Parse(time.RFC3339Nano, s)
			if err != nil || got != want.UnixMilli() || got < firstMilli || got > lastMilli {
				t.Errorf("%q is read as %d, want %d: %v", s, got, want.UnixMilli(), err)
			}
		}
		if checkMillis(ms) != nil {
			return
		}
		text, err := timestampFromMillis(ms)
		if want := time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z"); err != nil || text != want {
			t.Errorf("%d is written as %q, want %q: %v", ms, text, want, err)
		}
		if got, ok := millisFromPlain(text); ok && got != ms || !ok && text[8:10] <= "28" {
			t.Errorf("%q is read as %d: %v, want %d", text, got, ok, ms)
		}
	})
}
