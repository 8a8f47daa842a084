package cli

import (
	"encoding/json"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eiffelbridge/eiffelbridge/internal/mappingtext"
	"github.com/eiffelbridge/eiffelbridge/mappings"
)

func (c *command) mappingsVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mappings",
		Short: "Print what maps to what, both ways",
		Long: `Print the whole catalogue of mappings: what each CDEvent becomes in Eiffel and what each Eiffel
event becomes in CDEvents, with the fields and links of each row; of several rows of one type, the
first whose condition holds counts. The markdown form is the table of docs/mappings; the json form
has every member of every row, and the vocabularies. With --mappings it is the catalogue as it is
with mappings of your own over it.`,
		Example: `  eiffelbridge mappings
  eiffelbridge mappings --format markdown
  eiffelbridge mappings --mappings ours.yaml
  eiffelbridge mappings --format json | jq '.to_eiffel[] | select(.cdevent == "service.deployed")'`,
		Args: cobra.NoArgs,
	}
	format := chosen(cmd, "format", "table", "form of the output", "table", "markdown", "json")
	var files []string
	addMappings(cmd, &files)
	cmd.AddCommand(c.mappingsTestVerb())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		catalogue, err := c.catalogue(files)
		if catalogue == nil && err == nil {
			catalogue, err = mappings.Load()
		}
		if err != nil {
			return err
		}
		p := &painter{w: c.out}
		switch *format {
		case "json":
			return writeIndented(c.out, struct {
				ToEiffel     []mappings.ToEiffel   `json:"to_eiffel"`
				ToCDEvents   []mappings.ToCDEvents `json:"to_cdevents"`
				Activities   []mappings.Activity   `json:"activities,omitempty"`
				Vocabularies []mappings.Vocabulary `json:"vocabularies,omitempty"`
			}{catalogue.ToEiffel, catalogue.ToCDEvents, catalogue.Activities, catalogue.Vocabularies})
		case "markdown":
			text, err := mappingtext.Markdown(catalogue)
			if err == nil {
				_, err = io.WriteString(c.out, text)
			}
			return err
		}
		var there, back [][]cell
		for _, r := range mappingtext.Rows(catalogue) {
			fields := strings.Join(r.Fields, "; ")
			if r.Condition != "" {
				fields = strings.TrimSuffix("if "+r.Condition+": "+fields, ": ")
			}
			row := []cell{{mappingtext.ShortEiffel(r.From), bold}, {"->", dim}, {mappingtext.ShortEiffel(r.To), plain}, {fields, plain}}
			if r.ToEiffel {
				there = append(there, row)
			} else {
				back = append(back, row)
			}
		}
		p.line("CDEvents to Eiffel")
		p.table("  ", 36, there)
		p.line("")
		p.line("Eiffel to CDEvents")
		p.table("  ", 36, back)
		return p.err
	}
	return cmd
}

// writeIndented writes a value as JSON for people and programs.
func writeIndented(w interface{ Write([]byte) (int, error) }, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
