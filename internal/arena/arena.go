// Package arena holds many short texts in few allocations: those of one translation, which live and go together.
package arena

import "unsafe"

// Arena is room for texts. The zero value is ready for use; it is not safe for concurrent use. A text keeps all that share
// its room in memory: clone what is kept for longer than the rest.
type Arena struct {
	Size int // of a room, in bytes; 0 means 512

	buf []byte
}

// Room is an empty slice to append a text to, with room for at least n bytes more; the text is then handed to [Arena.Keep].
func (a *Arena) Room(n int) []byte {
	if a.buf == nil || cap(a.buf)-len(a.buf) < n {
		if a.Size == 0 {
			a.Size = 512
		}
		a.buf = make([]byte, 0, max(n, a.Size))
	}
	return a.buf[len(a.buf):]
}

// Reset forgets all texts and keeps the room: the next ones overwrite them.
func (a *Arena) Reset() { a.buf = a.buf[:0] }

// Keep makes a string of what was appended to the last [Arena.Room].
func (a *Arena) Keep(text []byte) string {
	if len(text) == 0 {
		return ""
	}
	if len(text) <= cap(a.buf)-len(a.buf) {
		a.buf = a.buf[:len(a.buf)+len(text)] // else it has outgrown the room, and has memory of its own
	}
	return unsafe.String(unsafe.SliceData(text), len(text))
}

// KeepBytes is Keep for bytes. They must not be changed.
func (a *Arena) KeepBytes(data []byte) []byte {
	if len(data) <= cap(a.buf)-len(a.buf) {
		a.buf = a.buf[:len(a.buf)+len(data)]
	}
	return data[:len(data):len(data)]
}
