package translate

import (
	"crypto/sha1"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
)

// namespace is the UUIDv5 namespace of every id that the bridge makes:
// 35d9d288-e001-578a-808e-3bc1e512cb78, itself the version 5 UUID of the project's URL,
// https://github.com/eiffelbridge/eiffelbridge, in the URL namespace of RFC 9562. It never changes.
var namespace = [16]byte{0x35, 0xd9, 0xd2, 0x88, 0xe0, 0x01, 0x57, 0x8a, 0x80, 0x8e, 0x3b, 0xc1, 0xe5, 0x12, 0xcb, 0x78}

// newID is the version 5 UUID of a name made of parts (section 2). It is written out here because the well-known UUID
// packages import the network and randomness, which this package must not.
func newID(parts ...string) string {
	var room [512]byte
	b := append(room[:0], namespace[:]...)
	b = appendKey(b, parts...)
	sum := sha1.Sum(b)
	sum[6] = sum[6]&0x0f | 0x50
	sum[8] = sum[8]&0x3f | 0x80
	return formatUUID(sum[:16])
}

// appendKey writes strings as a compact JSON array with only the escapes that JSON demands: the form of id names and of
// ledger keys alike.
func appendKey(b []byte, parts ...string) []byte {
	b = append(b, '[')
	for i, p := range parts {
		if i > 0 {
			b = append(b, ',')
		}
		b = jsondoc.AppendString(b, p)
	}
	return append(b, ']')
}

func query(kind FactKind, parts ...string) Query {
	var room [256]byte
	return Query{kind, string(appendKey(room[:0], parts...))}
}

// ParseKey splits a ledger key into its parts; false if it is none.
func ParseKey(key string) ([]string, bool) {
	doc, err := jsondoc.Parse([]byte(key))
	if err != nil || doc.Root().Kind() != jsondoc.Array {
		return nil, false
	}
	var parts []string
	for v := range doc.Root().Children() {
		if v.Kind() != jsondoc.String {
			return nil, false
		}
		parts = append(parts, v.Str())
	}
	return parts, true
}

func subjectQuery(k SubjectKey) Query { return query(SubjectFact, k.Kind, k.Source, k.ID) }
func nameQuery(kind, id string) Query { return query(NameFact, kind, id) }
func aliasQuery(k SubjectKey) Query   { return query(AliasFact, k.Kind, k.Source, k.ID) }
func eventQuery(id string) Query      { return query(EventFact, id) }
func contextQuery(id string) Query    { return query(ContextFact, id) }

func lineQuery(service, environment SubjectKey) Query {
	return query(LineFact, service.Source, service.ID, environment.Source, environment.ID)
}

func packageQuery(environment SubjectKey, pkg string) Query {
	return query(PackageFact, environment.Source, environment.ID, pkg)
}

func serviceQuery(environment SubjectKey, id string) Query {
	return query(ServiceFact, environment.Source, environment.ID, id)
}

func runsQuery(environment SubjectKey) Query {
	return query(RunsFact, environment.Source, environment.ID)
}

func decisionQuery(e *Event) Query {
	return query(DecisionFact, e.Protocol.Other().String(), e.Source, e.ID, e.Type)
}

// anchorID is the id of the Eiffel event that stands for a subject; it follows from the subject alone.
func anchorID(eiffelType string, k SubjectKey) string {
	return newID("anchor", eiffelType, k.Kind, k.Source, k.ID)
}

// versionID is the id of a later version of an anchor, made by the CDEvent in.
func versionID(eiffelType string, k SubjectKey, in *Event) string {
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

// artifact is an artifact's identity, taken apart (section 2).
type artifact struct {
	text    string // as it was written; canonical where that was no purl
	purl    string // canonical, all qualifiers
	key     string // canonical, without the qualifiers that do not count
	pkg     string // the package: no version, no subpath; the registry where it is part of the name
	typ     string // purl type
	name    string // namespace and name
	version string // empty if none
	tag     string // qualifier tag; empty if none
	digest  bool   // the version is a digest
}

// registryType tells whether a purl type's names say little without their registry.
func registryType(typ string) bool { return typ == "oci" || typ == "docker" || typ == "generic" }

// parseArtifact reads an artifact's identity. Text that is no purl becomes a generic one, and the second result is false.
func parseArtifact(text string, allQualifiers bool) (artifact, bool) {
	p, err := packageurl.FromString(text)
	ok := err == nil && p.Name != "" && p.Type != ""
	if !ok {
		p = packageurl.PackageURL{Type: "generic", Name: text}
	}
	a := artifact{purl: p.ToString(), typ: p.Type, version: p.Version, digest: isDigest(p.Version)}
	a.text = text
	if !ok || !strings.HasPrefix(text, "pkg:") { // the scheme of a purl has no case, that of an Eiffel identity has
		a.text = a.purl
	}
	a.name = p.Namespace + "/" + p.Name
	var counting, registry packageurl.Qualifiers
	for _, q := range p.Qualifiers {
		switch q.Key {
		case "download_url", "vcs_url", "file_name", "checksum":
			if !allQualifiers {
				continue
			}
		case "repository_url":
			if registryType(p.Type) {
				registry = append(registry, q)
			}
			if a.digest && !allQualifiers {
				continue
			}
		case "tag":
			a.tag = q.Value
			if a.digest && !allQualifiers {
				continue
			}
		}
		counting = append(counting, q)
	}
	k := p
	k.Qualifiers = counting
	a.key = k.ToString()
	k.Qualifiers, k.Version, k.Subpath = registry, "", ""
	a.pkg = k.ToString()
	return a, ok
}

// isDigest tells whether a version is an algorithm and a hex digest, such as sha256:0b31....
func isDigest(version string) bool {
	algorithm, hex, found := strings.Cut(version, ":")
	if !found || algorithm == "" || len(hex) < 32 {
		return false
	}
	for i := 0; i < len(hex); i++ {
		if hexDigit(hex[i]|0x20) > 15 {
			return false
		}
	}
	return true
}

func (a *artifact) subject() SubjectKey { return SubjectKey{Kind: "artifact", ID: a.key} }
