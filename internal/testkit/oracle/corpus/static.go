// Package corpus makes the oracle's corpus: what examples and cases there are, and streams that are generated from seeds. It
// is compiled and run in the base tree only, so that both drivers get the same bytes.
package corpus

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle/jsontree"
	"github.com/eiffelbridge/eiffelbridge/internal/testkit/oracle/stream"
)

// Static gives the streams of the examples and cases: those of the tree at root, and, where they are at hand, those of the
// specifications and the collected cases in the folder shared.
func Static(root, shared string, full bool) ([]stream.Stream, error) {
	c := &collector{root: root, shared: shared}
	for _, collect := range []func() error{c.examples, c.life, c.overlays, c.fuzz, c.cases, c.specifications, c.collected} {
		if err := collect(); err != nil {
			return nil, err
		}
	}
	for i := range c.streams {
		s := &c.streams[i]
		base := stream.Settings{}
		if s.Variants != nil {
			base = s.Variants[0].Near
		}
		s.Variants = variants(i, base, full)
		if most := max(8, 5000/len(s.Steps)); !full && len(s.Variants) > most { // long streams take only some of them
			all := s.Variants
			s.Variants = nil
			for k := range most {
				s.Variants = append(s.Variants, all[(k*len(all)/most+i)%len(all)])
			}
		}
	}
	return c.streams, nil
}

type collector struct {
	root, shared string
	streams      []stream.Stream
}

func (c *collector) add(name string, settings stream.Settings, texts ...[]byte) {
	s := stream.Stream{Name: name}
	if settings.String() != "defaults" {
		s.Variants = []stream.Variant{{Near: settings}}
	}
	for _, text := range texts {
		s.Steps = append(s.Steps, stream.Of(text))
	}
	c.streams = append(c.streams, s)
}

// glob is the files of a pattern below a folder, in order; none is an error.
func glob(folder, pattern string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(folder, filepath.FromSlash(pattern)))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no files %s", pattern)
	}
	slices.Sort(files)
	return files, err
}

func readAll(files []string) ([][]byte, error) {
	var out [][]byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		out = append(out, text)
	}
	return out, nil
}

// addFolder adds the files of a pattern as one stream.
func (c *collector) addFolder(name, folder, pattern string) error {
	files, err := glob(folder, pattern)
	if err != nil {
		return err
	}
	texts, err := readAll(files)
	if err != nil {
		return err
	}
	c.add(name, stream.Settings{}, texts...)
	return nil
}

func (c *collector) examples() error {
	for _, protocol := range []string{"cdevents", "eiffel"} {
		if err := c.addFolder("examples/"+protocol, c.root, "examples/events/"+protocol+"/*.json"); err != nil {
			return err
		}
	}
	return nil
}

func splitLines(text []byte) [][]byte {
	var out [][]byte
	for _, l := range bytes.Split(text, []byte("\n")) {
		if len(bytes.TrimSpace(l)) > 0 {
			out = append(out, l)
		}
	}
	return out
}

func (c *collector) life() error {
	text, err := os.ReadFile(filepath.Join(c.root, "translate", "testdata", "life.jsonl"))
	if err == nil {
		c.add("life", stream.Settings{}, splitLines(text)...)
	}
	return err
}

// OverlayTexts are the overlays of the examples, by the name of their folder.
func OverlayTexts(root string) ([]stream.Overlay, error) {
	files, err := glob(root, "examples/overlays/*/overlay.yaml")
	if err != nil {
		return nil, err
	}
	var out []stream.Overlay
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		out = append(out, stream.Overlay{Name: filepath.Base(filepath.Dir(file)), Text: string(text)})
	}
	return append(out, ownOverlays...), nil
}

// ownOverlays try what the examples do not: rows with conditions for types that have none, and services that an expression
// names.
var ownOverlays = []stream.Overlay{
	{Name: "conditions", Text: `version: 1
published_levels: [servicePublished, releaseReady]
service_id: "'svc-' + purl(subject.id).name"
to_eiffel:
  - cdevent: tool-thing.happened
    when: event.context.source.startsWith("https://ci.example.com/a")
    eiffel: EiffelCompositionDefinedEvent
    id: event
    data:
      - {to: /name, value: event.subject.id}
      - {to: /version, value: "event.subject.content.?n.orValue('0')"}
  - cdevent: service.deployed
    when: event.subject.?content.?environment.?id.orValue("") == "stage"
    eiffel: EiffelAnnouncementPublishedEvent
    id: event
    links:
      - {type: CAUSE, target: anchor, anchor: EiffelArtifactCreatedEvent, subject: artifact, reference: /subject/content/artifactId}
    data:
      - {to: /heading, const: staged}
      - {to: /body, value: event.subject.id}
      - {to: /severity, const: MINOR}
    learns: event
to_cdevents:
  - eiffel: EiffelCompositionDefinedEvent
    when: event.data.name.startsWith("thing")
    cdevent: dev.cdeventsx.tool-thing.happened.0.1.0
    subject_id: event.data.name
    content:
      - {to: /n, value: event.data.?version}
  - eiffel: EiffelEnvironmentDefinedEvent
    when: event.data.name == "stage"
    cdevent: environment.modified
    subject: environment
    content:
      - {to: /name, from: /data/name}
    learns: anchor
`},
}

func (c *collector) overlays() error {
	files, err := glob(c.root, "examples/overlays/*/cases/*.input.jsonl")
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name := filepath.Base(filepath.Dir(filepath.Dir(file)))
		c.add("overlays/"+name+"/"+filepath.Base(file), stream.Settings{Overlay: name}, splitLines(text)...)
	}
	return nil
}

// fuzz adds the inputs that the fuzz targets keep.
func (c *collector) fuzz() error {
	files, err := glob(c.root, "translate/testdata/fuzz/*/*")
	if err != nil {
		return err
	}
	var texts [][]byte
	for _, file := range files {
		f, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, l := range splitLines(f) {
			for _, kind := range []string{"[]byte(", "string("} {
				if quoted, ok := strings.CutPrefix(string(l), kind); ok {
					if text, err := strconv.Unquote(strings.TrimSuffix(quoted, ")")); err == nil {
						texts = append(texts, []byte(text))
					}
				}
			}
		}
	}
	c.add("fuzz", stream.Settings{}, texts...)
	return nil
}

// cases adds the streams of the project's own case files (translate/testdata/families and incarnations), and of the flows of
// its tests, as they are at the base commit.
func (c *collector) cases() error {
	f, err := os.Open(filepath.Join(c.root, "internal", "testkit", "oracle", "testdata", "cases.jsonl.gz"))
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bufio.NewReader(z))
	for d.More() {
		var one struct {
			Name     string
			Settings stream.Settings
			Events   []string
		}
		if err := d.Decode(&one); err != nil {
			return err
		}
		var texts [][]byte
		for _, e := range one.Events {
			texts = append(texts, []byte(e))
		}
		c.add(one.Name, one.Settings, texts...)
	}
	return nil
}

func (c *collector) specifications() error {
	folder := filepath.Join(c.shared, "specs")
	if _, err := os.Stat(folder); err != nil {
		return nil // the comparison says so
	}
	files, err := glob(folder, "cdevents/*/conformance")
	if err != nil {
		return err
	}
	for _, f := range files {
		version := filepath.Base(filepath.Dir(f))
		added := 0
		for _, pattern := range []string{"*.json", "formats/*.json"} {
			if _, err := glob(f, pattern); err != nil {
				continue // a draft has other files than a release
			}
			added++
			if err := c.addFolder("specs/cdevents/"+version+"/"+pattern, f, pattern); err != nil {
				return err
			}
		}
		if added == 0 {
			return fmt.Errorf("%s has no examples", f)
		}
	}
	return c.addFolder("specs/eiffel", folder, "eiffel/examples/events/*/*.json")
}

func (c *collector) collected() error {
	folder := filepath.Join(c.shared, "cases")
	if _, err := os.Stat(folder); err != nil {
		return nil
	}
	files, err := glob(folder, "*/*")
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var texts [][]byte
		switch filepath.Ext(file) {
		case ".jsonl":
			texts = append(splitLines(text), text)
		case ".http":
			_, body, _ := bytes.Cut(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\n\n"))
			texts = append(texts, body)
			if envelope, err := jsontree.Parse(body); err == nil && envelope.At("data") != nil {
				texts = append(texts, []byte(envelope.At("data").String()))
			}
		default:
			texts = append([][]byte{text}, splitLines(text)...)
		}
		c.add("cases/"+filepath.Base(filepath.Dir(file))+"/"+filepath.Base(file), stream.Settings{}, texts...)
	}
	return nil
}

// variants are the settings that a stream of examples runs with. The full product has all editions and specifications with
// all other settings. Else every edition meets every specification with and without the original, with a ledger for each
// event and with one; and all other settings meet one another, with editions and specifications in turn.
func variants(n int, base stream.Settings, full bool) []stream.Variant {
	var out []stream.Variant
	editions, specs := editions(), specs()
	add := func(edition, spec, carry, synthesize, returning string, fresh, round bool) {
		s := base
		if base.Edition == "" {
			s.Edition = edition
		}
		if base.Spec == "" {
			s.Spec = spec
		}
		if base.Carry == "" {
			s.Carry = carry
		}
		if base.Synthesize == "" {
			s.Synthesize = synthesize
		}
		s.Returning = returning
		s.Explain = n%2 == 0
		n++
		out = append(out, stream.Variant{Near: s, Fresh: fresh, Back: !round, Round: round})
	}
	bools := []bool{false, true}
	for _, carry := range []string{"", "none"} {
		for _, fresh := range bools {
			for _, edition := range editions {
				for _, spec := range specs {
					if !full {
						add(edition, spec, carry, "", "", fresh, n%4 == 0)
						continue
					}
					for _, round := range bools {
						for _, synthesize := range []string{"", "always", "never"} {
							for _, returning := range []string{"", "drop", "restore", "translate"} {
								add(edition, spec, carry, synthesize, returning, fresh, round)
							}
						}
					}
				}
			}
			if full {
				continue
			}
			for _, synthesize := range []string{"", "always", "never"} {
				for _, returning := range []string{"", "drop", "restore", "translate"} {
					edition, spec := editions[n%len(editions)], specs[n/len(editions)%len(specs)]
					if n%3 == 0 { // the defaults oftener than others
						edition, spec = "Orizaba", "0.5"
					}
					add(edition, spec, carry, synthesize, returning, fresh, n%2 == 0)
				}
			}
		}
	}
	return out
}

// editions and specs are those that can be written, in either tree.
func editions() []string {
	return []string{"Agen", "Agen-1", "Paris", "Lyon", "Arica", "Orizaba"}
}

func specs() []string { return []string{"0.3", "0.4", "0.5"} }
