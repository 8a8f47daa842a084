package translate

import (
	"github.com/package-url/packageurl-go"

	"github.com/eiffelbridge/eiffelbridge/internal/jsondoc"
)

// purl is the artifact's identity.
func (t *toEiffel) purl(at *place) value {
	id := t.in.doc.Root().At("subject", "id")
	fidelity := Exact
	if t.artifact.text != id.Str() {
		fidelity = Translated
	}
	t.move(id, at.at, at.rule, fidelity)
	return textValue(t.artifact.text)
}

// locations are those that the artifact's purl names: its repository and where to download it.
func (t *toEiffel) locations(*place) value {
	b := []byte{'['}
	if p, err := packageurl.FromString(t.artifact.purl); err == nil {
		qualifiers := p.Qualifiers.Map()
		for _, key := range []string{"repository_url", "download_url"} {
			uri := qualifiers[key]
			if uri == "" {
				continue
			}
			if len(b) > 1 {
				b = append(b, ',')
			}
			b = append(b, `{"type":"OTHER","uri":`...)
			b = append(jsondoc.AppendString(b, uri), '}')
		}
	}
	return jsonValue(append(b, ']'))
}
