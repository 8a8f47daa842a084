package translate

import (
	"crypto/sha1"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/internal/uuid"
	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

// namespace is the UUIDv5 namespace of every id that the bridge makes:
// 35d9d288-e001-578a-808e-3bc1e512cb78, itself the version 5 UUID of the project's URL,
// https://github.com/eiffelbridge/eiffelbridge, in the URL namespace of RFC 9562. It never changes.
var namespace = [16]byte{0x35, 0xd9, 0xd2, 0x88, 0xe0, 0x01, 0x57, 0x8a, 0x80, 0x8e, 0x3b, 0xc1, 0xe5, 0x12, 0xcb, 0x78}

// newID is the version 5 UUID of a name made of parts (mapping.md, "Ids"). It is written out here because the well-known UUID
// packages import the network and randomness, which this package must not.
func newID(parts ...string) string {
	var room [512]byte
	b := append(room[:0], namespace[:]...)
	b = ledger.AppendKey(b, parts...)
	sum := sha1.Sum(b)
	sum[6] = sum[6]&0x0f | 0x50
	sum[8] = sum[8]&0x3f | 0x80
	return uuid.Format(sum[:16])
}

// anchorID is the id of the Eiffel event that stands for a subject; it follows from the subject alone.
func anchorID(eiffelType string, k ledger.SubjectKey) string {
	return newID("anchor", eiffelType, k.Kind, k.Source, k.ID)
}

// versionID is the id of a later version of an anchor, made by the CDEvent in.
func versionID(eiffelType string, k ledger.SubjectKey, in *Event) string {
	return newID("version", eiffelType, k.Kind, k.Source, k.ID, in.Source, in.ID)
}

// eventID is the id of any other Eiffel event whose CDEvent has an id that Eiffel refuses or that is taken.
func eventID(in *Event) string { return newID("event", in.Source, in.ID, in.Type) }

// synthesizedID is the id of a composition that stands in for what a required link lacks.
func synthesizedID(role string, source, id, eventType string) string {
	return newID("synthesized", role, source, id, eventType)
}

// madeID tells whether an id may be one that the bridge made: a UUID of version 5.
func madeID(id string) bool { return len(id) == 36 && id[14] == '5' }

const urnUUID = "urn:uuid:"

// uuidOfURN gives U of "urn:uuid:U" where Eiffel accepts U as an id.
func uuidOfURN(s string) (string, bool) {
	if id, ok := strings.CutPrefix(s, urnUUID); ok && schema.IsEiffelID(id) {
		return id, true
	}
	return "", false
}
