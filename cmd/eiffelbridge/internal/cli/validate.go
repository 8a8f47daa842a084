package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eiffelbridge/eiffelbridge/translate"
)

func (c *command) validateVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate [FILE...]",
		Short: "Check events against the schemas of their protocol",
		Long: `Check CDEvents and Eiffel events against the schema of each event's own type and version, and
Eiffel events against the link rules too. Every finding is a line on standard output:

  file:line: event number: id (type) at /pointer: message [code]

The last line, on standard error, is a summary. The exit code is 1 if there is any finding.

` + inputHelp,
		Example: `  eiffelbridge validate events.jsonl
  eiffelbridge validate examples/demo/life.jsonl
  eiffelbridge translate events.jsonl | eiffelbridge validate`,
		Args: cobra.ArbitraryArgs,
	}
	completeFiles(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := c.watch(cmd.Context())
		defer stop()
		events, invalid, findings := 0, 0, 0
		var writing error
		find := func(in *input, e *translate.EventError) {
			findings++
			if writing == nil {
				_, writing = fmt.Fprintln(c.out, problemLine(in, e))
			}
		}
		err := c.eachEvent(ctx, args, func(in *input) error {
			if !in.isFile() {
				events++
			}
			before := findings
			if in.Err != nil {
				var e *translate.EventError
				if !errors.As(in.Err, &e) {
					return in.Err
				}
				find(in, e)
			} else {
				for _, e := range in.Event.Validate() {
					find(in, e)
				}
			}
			if findings > before && !in.isFile() {
				invalid++
			}
			return writing
		})
		if err != nil && !isBrokenPipe(err) {
			return err
		}
		if err == nil {
			fmt.Fprintf(c.err, "%s, %d valid, %d not; %s\n", count(events, "event"), events-invalid, invalid, count(findings, "finding"))
		}
		if findings > 0 {
			return errFailed
		}
		return nil
	}
	return cmd
}

// count writes a number of things.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
