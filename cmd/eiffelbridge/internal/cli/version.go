package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eiffelbridge/eiffelbridge/internal/schema"
	"github.com/eiffelbridge/eiffelbridge/translate"
)

func (c *command) versionVerb() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of the program and of the specifications",
		Long: `Print the version of the program, and the versions of the two specifications that it reads and
writes.`,
		Example: "  eiffelbridge version",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := io.WriteString(c.out, c.versionText())
			return err
		},
	}
}

func (c *command) versionText() string {
	d := translate.DefaultSettings()
	specs, editions := schema.OutputSpecs(), schema.OutputEditions()
	return fmt.Sprintf("eiffelbridge %s%s\nCDEvents     reads and writes %s; writes %s by default\n"+
		"Eiffel       reads every edition; writes %s to %s, %s by default\n",
		c.env.Version, buildDetails(), strings.Join(specs, ", "), d.Spec, editions[0], editions[len(editions)-1], d.Edition)
}

// buildDetails are the revision and the toolchain, as far as they are known.
func buildDetails() string {
	details := []string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				details = append(details, s.Value[:12])
			}
		}
	}
	details = append(details, runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH)
	return " (" + strings.Join(details, ", ") + ")"
}
