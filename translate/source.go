package translate

import (
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
	"github.com/eiffelbridge/eiffelbridge/internal/schema"
)

// sourceFromMeta derives a CDEvents source from meta.source: its uri, else its domain, else its host, else the protocol
// itself (mapping.md, "Sources"). The second result is the domain.
func sourceFromMeta(source jsondoc.Value) (derived, domainID string) {
	var uri, host string
	for m := source.FirstChild(); m.Exists(); m = m.NextSibling() {
		switch m.Key() {
		case "uri":
			uri = m.Str()
		case "domainId":
			domainID = m.Str()
		case "host":
			host = m.Str()
		}
	}
	return sourceOf(uri, domainID, host), domainID
}

func sourceOf(uri, domainID, host string) string {
	switch {
	case uri != "":
		return escapeURI(uri)
	case domainID != "":
		return "urn:eiffel:domain:" + escapeAll(domainID)
	case host != "":
		return "urn:eiffel:host:" + escapeAll(host)
	}
	return "urn:eiffel"
}

// isURIReference and isURI judge as the formats of the CDEvents schemas do, and refuse besides what has characters that no
// URI has.
func isURIReference(s string) bool {
	return schema.IsPlainReference(s) || !strings.ContainsAny(s, foreignToURIs) && schema.IsURIReference(s)
}

func isURI(s string) bool { return !strings.ContainsAny(s, foreignToURIs) && schema.IsURI(s) }

// foreignToURIs are printable characters that have no place in a URI (RFC 3986, section 2), though many parsers take them.
const foreignToURIs = " \"<>^`{|}\\"

// escapeURI gives free text as a URI reference: as it is where it is one, else with every character that has no place
// in a URI percent-encoded.
func escapeURI(s string) string {
	if isURIReference(s) {
		return s
	}
	escaped := escape(s, "-._~:/?#[]@!$&'()*+,;=%")
	if isURIReference(escaped) {
		return escaped
	}
	return escapeAll(s)
}

// escapeAll percent-encodes all but the unreserved characters of RFC 3986 section 2.3.
func escapeAll(s string) string { return escape(s, "-._~") }

func escape(s, keep string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(keep, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}
