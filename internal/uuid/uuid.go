// Package uuid reads and writes UUIDs as canonical text. The well-known UUID packages import the network and randomness,
// which a translation must not.
package uuid

// Format writes 16 bytes as canonical text, lower case.
func Format(b []byte) string {
	var room [36]byte
	return string(AppendText(room[:0], b))
}

// AppendText appends what [Format] gives.
func AppendText(dst, b []byte) []byte {
	const digits = "0123456789abcdef"
	for i, c := range b[:16] {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}

// Parse reads what [Format] writes; false for any other text, be it another way to write a UUID.
func Parse(s string) (raw [16]byte, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return raw, false
	}
	at := 0
	for i := 0; i < 36; i += 2 {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			i++
		}
		hi, lo := digit(s[i]), digit(s[i+1])
		if hi > 15 || lo > 15 {
			return raw, false
		}
		raw[at] = hi<<4 | lo
		at++
	}
	return raw, true
}

func digit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 16
}
