package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eiffelbridge/eiffelbridge/conformance/translator"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

func (c *command) conformanceVerb() *cobra.Command {
	var laws strings.Builder
	for _, law := range translator.Laws() {
		for i, line := range wrap(law.About, width-15) {
			name := ""
			if i == 0 {
				name = law.Name
			}
			fmt.Fprintf(&laws, "  %-12s %s\n", name, line)
		}
	}
	cmd := &cobra.Command{
		Use:   "conformance [PLUGIN [FILE...]]",
		Short: "Certify the translation, or a plugin",
		Long: `Certify this program's translation with events of every type and version of both protocols: for each
a minimal event, a full one and random ones, and streams of all types of a CDEvents version or an
Eiffel edition. It tests these laws:

` + laws.String() + `
The table has a line for each event type and a column for each law: ok, how many events break it, or
"-" if it could not be applied to any. Below stand the findings, one of each kind, and what was
skipped; the json form has more of them, with their events. The same seed gives the same events. The
last line, on standard error, is a summary. The exit code is 1 if there is any finding.

With PLUGIN, the binary of a plugin, that is certified instead: that it starts, answers and ends as
the plugin protocol says, and that the laws hold for what it makes of the events of the files and of
those that the kit writes for the types that the plugin names.`,
		Example: `  eiffelbridge conformance
  eiffelbridge conformance --type service.deployed --type EiffelArtifactDeployedEvent --cases 100
  eiffelbridge conformance --format json | jq '.findings[] | {law, type, pointer, input}'
  eiffelbridge conformance ./deploytool rollout.json`,
		Args: cobra.ArbitraryArgs,
	}
	completeFiles(cmd)
	var pluginConfig string
	cmd.Flags().StringVar(&pluginConfig, "plugin-config", "", "`FILE` with the configuration of the plugin, JSON")
	var selection translator.Selection
	cmd.Flags().Uint64Var(&selection.Seed, "seed", 1, "`N` chooses the random events")
	cmd.Flags().IntVar(&selection.Random, "cases", 3, "`N` random events of each type and version, and as many streams")
	cmd.Flags().StringArrayVar(&selection.Types, "type", nil, "event `TYPE` to test, such as service.deployed; may be given more than once (default all)")
	// Asked for only when someone completes: reading all schemas takes longer than most verbs.
	if err := cmd.RegisterFlagCompletionFunc("type", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return translator.TypeNames(), cobra.ShellCompDirectiveNoFileComp
	}); err != nil {
		panic(err) // as in complete
	}
	format := chosen(cmd, "format", "table", "form of the output", "table", "json")
	colour := addColour(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if selection.Random < 0 {
			return usagef("--cases %d is less than 0", selection.Random)
		}
		ctx, stop := c.watch(cmd.Context())
		defer stop()
		if len(args) > 0 {
			return c.certifyPlugin(ctx, args[0], pluginConfig, args[1:], *format == "json", c.painter(*colour))
		}
		report, err := c.certify(ctx, selection)
		if err != nil {
			return err
		}
		if *format == "json" {
			err = writeIndented(c.out, struct {
				Version string `json:"version"`
				Seed    uint64 `json:"seed"`
				*translator.Report
			}{c.env.Version, selection.Seed, report})
		} else {
			err = printConformance(c.painter(*colour), report)
		}
		if err != nil {
			return err
		}
		failed := 0
		for _, t := range report.Types {
			for _, n := range t.Laws {
				failed += n.Failed
			}
		}
		fmt.Fprintf(c.err, "%s of %s in %s, %s: %s\n", count(report.Events, "event"), count(len(report.Types), "type"), count(report.Cases, "case"),
			count(len(translator.Laws()), "law"), brokenText(failed))
		if report.Failed() {
			return errFailed
		}
		return nil
	}
	return cmd
}

func brokenText(n int) string {
	switch n {
	case 0:
		return "all hold"
	case 1:
		return "broken once"
	}
	return fmt.Sprintf("broken %d times", n)
}

// certify runs the kit on this program's own translation.
func (c *command) certify(ctx context.Context, selection translator.Selection) (*translator.Report, error) {
	if selection.Random == 0 {
		selection.Random = -1
	}
	cases, err := translator.Generate(selection)
	if err != nil {
		return nil, &usageError{fmt.Errorf("--type: %w", err)}
	}
	report, err := translator.Test(ctx, func(s translate.Settings) (translate.Translator, error) {
		s.Version = c.serializerVersion()
		return translate.New(s)
	}, translator.Options{Cases: cases})
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return report, err
}

func printConformance(p *painter, report *translator.Report) error {
	laws := translator.Laws()
	header := []cell{{"type", bold}, {"versions", bold}, {"events", bold}}
	for i := range laws {
		header = append(header, cell{strconv.Itoa(i + 1), bold})
	}
	rows := [][]cell{header}
	for _, t := range report.Types {
		row := []cell{{t.Type, plain}, {strconv.Itoa(t.Versions), plain}, {strconv.Itoa(t.Events), plain}}
		for _, law := range laws {
			n := t.Laws[law.Name]
			switch {
			case n.Failed > 0:
				row = append(row, cell{strconv.Itoa(n.Failed), red})
			case n.Checked > 0:
				row = append(row, cell{"ok", green})
			default:
				row = append(row, cell{"-", dim})
			}
		}
		rows = append(rows, row)
	}
	for i, law := range laws {
		p.line(p.paint(bold, strconv.Itoa(i+1)) + " " + law.Name)
	}
	p.line("")
	p.fitted("", rows)
	p.printFindings(report.Findings)
	if len(report.Skipped) > 0 {
		p.line("")
		p.line(p.paint(bold, "skipped"))
		var skipped [][]cell
		for _, s := range report.Skipped {
			skipped = append(skipped, []cell{{s.Law, plain}, {strconv.Itoa(s.Events), plain}, {s.Reason, plain}})
		}
		p.table("  ", 36, skipped)
	}
	return p.err
}

// printFindings writes one finding of each law, rule and type.
func (p *painter) printFindings(findings []translator.Finding) {
	type kind struct{ law, rule, typ string }
	seen := map[kind]bool{}
	for _, f := range findings {
		k := kind{f.Law, f.Rule, f.Type}
		if seen[k] {
			continue
		}
		if len(seen) == 0 {
			p.line("")
			p.line(p.paint(bold, "findings"))
		}
		seen[k] = true
		p.line("  " + p.paint(red, f.Law+", "+f.Rule) + ": " + oneLine(f.Case+", event "+strconv.Itoa(f.Event)))
		at := ""
		if f.Pointer != "" {
			at = "at " + f.Pointer + ": "
		}
		for _, line := range wrap(oneLine(at+f.Message), width-6) {
			p.line("      " + clip(line, width-6))
		}
	}
}
