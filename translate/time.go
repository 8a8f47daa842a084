package translate

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// firstMilli and lastMilli bound what a timestamp of RFC 3339 can say: the years 0000 to 9999, UTC.
const (
	firstMilli = -62167219200000
	lastMilli  = 253402300799999
)

// errTimestamp says that a text is no timestamp at all.
var errTimestamp = errors.New("is not a timestamp of RFC 3339")

// millisFromTimestamp turns an RFC 3339 timestamp of any precision and zone into milliseconds since 1970, rounded down,
// before 1970 too. A leap second is .999 of the second before it (mapping.md, "Time").
func millisFromTimestamp(s string) (int64, error) {
	if ms, ok := millisFromPlain(s); ok {
		return ms, nil
	}
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

// millisFromPlain reads a timestamp of the form that most have, 2006-01-02T15:04:05Z or 2006-01-02T15:04:05.000Z, if it has
// nothing unusual; false leaves it to the general rules.
func millisFromPlain(s string) (ms int64, ok bool) {
	switch {
	case len(s) == 24 && s[19] == '.' && s[23] == 'Z':
		tenths, hundredths, thousandths := s[20]-'0', s[21]-'0', s[22]-'0'
		if tenths > 9 || hundredths > 9 || thousandths > 9 {
			return 0, false
		}
		ms = int64(tenths)*100 + int64(hundredths)*10 + int64(thousandths)
	case len(s) != 20 || s[19] != 'Z':
		return 0, false
	}
	if s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return 0, false
	}
	century, year, month, day := twoDigits(s[0:2]), twoDigits(s[2:4]), twoDigits(s[5:7]), twoDigits(s[8:10])
	hour, minute, second := twoDigits(s[11:13]), twoDigits(s[14:16]), twoDigits(s[17:19])
	if century > 99 || year > 99 || month < 1 || month > 12 || day < 1 || day > 28 || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	t := time.Date(century*100+year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	return t.Unix()*1000 + ms, true
}

// twoDigits is the number that two digits are, and one beyond all if they are none.
func twoDigits(s string) int {
	tens, ones := s[0]-'0', s[1]-'0'
	if tens > 9 || ones > 9 {
		return 100
	}
	return int(tens)*10 + int(ones)
}

// checkMillis tells whether milliseconds since 1970 can be written as a timestamp.
func checkMillis(ms int64) error {
	if ms < firstMilli || ms > lastMilli {
		return fmt.Errorf("%d milliseconds since 1970 lie outside the years 0000 to 9999", ms)
	}
	return nil
}

// timestampFromMillis writes milliseconds since 1970 as RFC 3339, UTC, three digits.
func timestampFromMillis(ms int64) (string, error) {
	if err := checkMillis(ms); err != nil {
		return "", err
	}
	return string(jsondoc.AppendTimestamp(nil, ms)), nil
}
