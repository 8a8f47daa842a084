package ledger

// Stamp orders what happened in a line or to an environment: by time, then by Eiffel event id.
type Stamp struct {
	Time int64  `json:"time"` // milliseconds since 1970, as meta.time
	ID   string `json:"id"`   // meta.id
}

// Before tells whether s lies strictly before t.
func (s Stamp) Before(t Stamp) bool {
	return s.Time < t.Time || s.Time == t.Time && s.ID < t.ID
}

// EndOfTime lies behind every stamp: a timestamp of RFC 3339 ends with the year 9999.
var EndOfTime = Stamp{Time: 253402300800000}

// stampDigits is how many hexadecimal digits of a [Stamp.Text] are the time.
const stampDigits = 16

// AppendText appends what [Stamp.Text] gives.
func (s Stamp) AppendText(b []byte) []byte {
	const digits = "0123456789abcdef"
	// Times before 1970 are negative: with the sign turned over they come first.
	t := uint64(s.Time) ^ 1<<63
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[t>>shift&15])
	}
	return append(b, s.ID...)
}

// Text is the stamp as the last part of a key: texts have the order of their stamps, times before 1970 included.
func (s Stamp) Text() string {
	var room [64]byte
	return string(s.AppendText(room[:0]))
}

// ParseStamp reads what [Stamp.Text] gives; false if it is none.
func ParseStamp(text string) (Stamp, bool) {
	if len(text) < stampDigits {
		return Stamp{}, false
	}
	var t uint64
	for _, c := range []byte(text[:stampDigits]) {
		switch {
		case c >= '0' && c <= '9':
			t = t<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			t = t<<4 | uint64(c-'a'+10)
		default:
			return Stamp{}, false
		}
	}
	return Stamp{Time: int64(t ^ 1<<63), ID: text[stampDigits:]}, true
}

// AppendTo appends the record.
func (s Stamp) AppendTo(b []byte) []byte {
	b = appendInt(b, 1, s.Time)
	return appendID(b, 2, s.ID)
}

// Encode writes the record.
func (s Stamp) Encode() []byte { return s.AppendTo([]byte{}) }

// DecodeStamp reads a record; a nil one is the zero Stamp.
func DecodeStamp(record []byte) (Stamp, error) { return decoderOf(record).Stamp(record) }

// Stamp reads a record, as [DecodeStamp] does.
func (d Decoder) Stamp(record []byte) (Stamp, error) {
	r := d.read(record)
	s := r.stamp()
	return s, r.err
}

func (r *reader) stamp() (s Stamp) {
	for r.next() {
		switch r.field {
		case 1:
			s.Time = r.int()
		case 2:
			s.ID = r.id()
		}
	}
	return s
}

// stampWithin reads the stamp that the field is.
func (r *reader) stampWithin() Stamp {
	m := r.within()
	s := m.stamp()
	r.failed(m.err)
	return s
}

// timeWithin reads the time of the stamp that the field is.
func (r *reader) timeWithin() (ms int64, ok bool) {
	m := r.within()
	return m.time()
}

func (r *reader) time() (ms int64, ok bool) {
	for r.next() {
		if r.field == 1 {
			ms = r.int()
		}
	}
	return ms, r.err == nil
}
