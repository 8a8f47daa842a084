package generate

import (
	"fmt"
	"strings"
	"time"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
)

// text is a string of a shape.
func (e *event) text(x schema.Shape, path []string) string {
	if words := x.Words(); words != nil {
		if e.mode == Minimal {
			return words[0]
		}
		return e.pick(words...)
	}
	if is(path, "context", "id") || is(path, "meta", "id") {
		e.id = e.eventID()
		return e.id
	}
	switch x.Format() {
	case "date-time":
		return e.timestamp()
	case "uri":
		return e.uri()
	case "uri-reference":
		return e.uriReference(x.MinLength())
	case "eiffel-id":
		return e.uuid("45123")
	case "purl":
		return e.purl()
	case "hex":
		return e.pick("0b31b1c02ff458ad9b7b81cbdf8f028b", "0", "deadbeef")
	case "base64":
		return e.pick("QUJD", "a+b/cw==", "a-b=", "===")
	case "custom-subject":
		return e.s.Subject()
	}
	text := e.named(path)
	if text == "" && x.MinLength() > 0 {
		text = "x"
	}
	return text
}

// named is free text that suits the member's name.
func (e *event) named(path []string) string {
	name, holder := path[len(path)-1], ""
	if len(path) > 1 {
		holder = path[len(path)-2]
	}
	switch name {
	case "version", "specversion":
		if holder == "context" {
			return e.s.SpecVersions()[0]
		}
		return e.pick("1.0.0", "2", "1.0.0-rc.1+build")
	case "contextId":
		return e.contextID()
	case "linkKind":
		return e.pick("TRIGGER", "CONTEXT", "FLOW_CONTEXT", "CAUSE", "ARTIFACT", "ENVIRONMENT", "SUBJECT", "PREVIOUS_VERSION", "MADE_UP", "deploys")
	case "chainId":
		return e.pick(e.uuid("4"), "chain-7", e.uuid("7"))
	case "artifactId":
		if e.isCDEvent() {
			return e.artifact()
		}
	case "id":
		switch {
		case is(path, "subject", "id"):
			return e.subjectID(e.s.Subject())
		case e.isCDEvent():
			return e.subjectID(strings.ToLower(holder))
		}
		return e.pick("thing-1", "T-42", e.phrase())
	case "source":
		return e.uriReference(0)
	case "uri", "url", "viewUrl", "executionUri", "batchesUri", "repoUri", "tracker", "schemaUri", "ticketURI":
		return e.pick(e.uri(), "/relative?x=1", "no uri at all: %zz \\ ü", e.phrase())
	case "customData":
		return encode64(e.phrase())
	case "customDataContentType":
		if e.base64 {
			return e.pick("text/plain", "application/x-thing", "application/json")
		}
		return e.pick("application/json", "application/json", "application/json; charset=utf-8")
	case "key":
		return e.pick("team", "build", "team", "serviceId", "subject", "signature", "", "customData", "eiffel", "cdevents", "a/b~c")
	case "outcome":
		return e.pick("success", "failure", "error", "cancel", "pass", "fail", "Succeeded", "ABORTED", e.phrase())
	case "mediaType", "format":
		return e.pick("text/plain", "application/spdx+json")
	case "email":
		return e.pick("ann@example.com", "a b@c")
	case "domainId":
		return e.pick("example.ci", "a b/ü", "")
	case "host":
		return e.pick("build-7", "h 1", "")
	case "commitId":
		return e.pick("fd090b60a4aedc5161da9c035a49b14a319829b4", "HEAD")
	case "value":
		return e.pick("1.5", "yes", e.phrase())
	}
	return e.phrase()
}

// phrases are texts that people and tools write, the plain ones first.
var phrases = []string{
	"release", "nightly build", "it works", "Größe – naïve", "日本語のテキスト", "👩‍🚀 to the 🌍", "", " ", "tab\tand\nline\r\n", "\"quoted\" \\ back/slash",
	"<script>alert('&')</script>", "\u0000\u0001\u001f\u007f", "e\u0301 is not \u00e9", "\u2028\u2029\ufeff\u200b", "%s %d %% {{.}} ${HOME}", "null", "-1e400",
	"../../etc/passwd", strings.Repeat("long ", 140), "\U0010ffff\ufffd",
}

func (e *event) phrase() string {
	if !e.odd(3) {
		return e.pick(phrases[:3]...)
	}
	return e.pick(phrases...)
}

// subjectID is an id of a CDEvents subject: of few, so that events meet.
func (e *event) subjectID(kind string) string {
	if kind == "artifact" {
		return e.artifact()
	}
	if e.odd(8) {
		return e.pick("urn:uuid:"+e.uuid("4"), "a b/ü?#%", "https://example.com/things/7", "😀\"\\\n", e.uuid("4"))
	}
	switch kind {
	case "environment":
		return e.pick("prod", "stage")
	case "service":
		return e.pick("shop", "cart")
	}
	return kind + e.pick("-1", "-2")
}

var purls = []string{
	"pkg:oci/shop@1.0.0", "pkg:oci/shop@1.1.0?repository_url=ghcr.io/acme", "pkg:npm/%40acme/shop@2.0.0-rc.1",
	"pkg:oci/shop@sha256%3A0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427?tag=1.2.0&download_url=https://example.com/a",
	"pkg:deb/debian/curl@7.50.3-1?arch=i386&distro=jessie", "pkg:maven/org.acme/shop@1.0-SNAPSHOT#sub/path", "pkg:generic/shop",
}

func (e *event) purl() string {
	if e.odd(6) {
		return e.pick("pkg:", "pkg:no purl at all", "pkg:NPM/Foo@1", "pkg:golang/github.com/a/b@v1.0.0+incompatible?x=%zz")
	}
	return e.pick(purls...)
}

func (e *event) artifact() string {
	if e.odd(6) {
		return e.pick("shop:1.0", "an artifact, ü", "sha256:0b31b1c0", "urn:uuid:"+e.uuid("4"))
	}
	return e.purl()
}

// sources are few, so that subjects meet; the last of them are references that are no URIs.
var sources = []string{"https://ci.example.com/a", "https://ci.example.com/b?x=1#y", "urn:x:y", "/relative", "//host/path", "a%20b"}

func (e *event) uriReference(least int) string {
	if least == 0 && e.odd(12) {
		return ""
	}
	return e.pick(sources...)
}

func (e *event) uri() string {
	if e.mode == Minimal {
		return "https://example.com/a"
	}
	return e.pick("https://example.com/a", "https://example.com:8443/a%20b/?c=d&e=%2F#f", "mailto:ann@example.com", "urn:isbn:0451450523", "http://[2001:db8::7]/x",
		"HTTP://EXAMPLE.COM/", "https://user@例え.jp/ü", "file:///a/b")
}

// timestamp is a time of RFC 3339 in one of the many ways of writing it.
func (e *event) timestamp() string {
	at := time.UnixMilli(1772355600000 + int64(e.choose.IntN(1<<30))).UTC()
	if !e.odd(2) {
		return at.Format("2006-01-02T15:04:05.000Z")
	}
	switch e.choose.IntN(9) {
	case 0:
		return at.Format("2006-01-02T15:04:05Z")
	case 1:
		return at.Add(123456 * time.Nanosecond).Format("2006-01-02T15:04:05.000000000Z")
	case 2:
		return at.In(time.FixedZone("", 5400)).Format("2006-01-02T15:04:05.0Z07:00")
	case 3:
		return at.In(time.FixedZone("", -34200)).Format("2006-01-02T15:04:05.000000Z07:00")
	case 4:
		return strings.ToLower(at.Format("2006-01-02T15:04:05.00Z"))
	case 5:
		return "2016-12-31T23:59:60." + fmt.Sprint(e.choose.IntN(1000)) + "Z"
	case 6:
		return "1969-12-31T23:59:59.9999999Z"
	case 7:
		return e.pick("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "2017-01-01T08:59:60+09:00")
	}
	return at.Format("2006-01-02T15:04:05.000") + "-00:00"
}
