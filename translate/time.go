package translate

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// firstMilli and lastMilli bound what a timestamp of RFC 3339 can say: the years 0000 to 9999, UTC.
const (
	firstMilli = -62167219200000
	lastMilli  = 253402300799999
)

// errTimestamp says that a text is no timestamp at all.
var errTimestamp = errors.New("is not a timestamp of RFC 3339")

// millisFromTimestamp turns an RFC 3339 timestamp of any precision and zone into milliseconds since 1970, rounded down,
// before 1970 too. A leap second is .999 of the second before it (section 3, Time).
func millisFromTimestamp(s string) (int64, error) {
	text := strings.ToUpper(s)
	leap := false
	if len(text) > 19 && text[17:19] == "60" {
		text = text[:17] + "59" + text[19:]
		leap = true
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return 0, fmt.Errorf("%q %w", shorten(s, 80), errTimestamp)
	}
	ms := t.UnixMilli()
	if leap {
		ms = t.Unix()*1000 + 999
	}
	if ms < firstMilli || ms > lastMilli {
		return 0, fmt.Errorf("%q lies outside the years 0000 to 9999 in UTC", shorten(s, 80))
	}
	return ms, nil
}

// timestampFromMillis writes milliseconds since 1970 as RFC 3339, UTC, three digits.
func timestampFromMillis(ms int64) (string, error) {
	if ms < firstMilli || ms > lastMilli {
		return "", fmt.Errorf("%d milliseconds since 1970 lie outside the years 0000 to 9999", ms)
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z"), nil
}
