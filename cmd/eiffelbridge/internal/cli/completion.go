package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (c *command) completionVerb() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print the completion script of a shell",
		Long:  "Print a script that lets the shell complete verbs, flags and their values.",
		Example: `  source <(eiffelbridge completion bash)                        # for this shell
  eiffelbridge completion bash > /etc/bash_completion.d/eiffelbridge
  eiffelbridge completion zsh > "${fpath[1]}/_eiffelbridge"
  eiffelbridge completion fish > ~/.config/fish/completions/eiffelbridge.fish`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(c.out, true)
			case "zsh":
				return root.GenZshCompletion(c.out)
			case "fish":
				return root.GenFishCompletion(c.out, true)
			}
			return root.GenPowerShellCompletionWithDesc(c.out)
		},
	}
}

// referenceVerb prints docs/cli.md.
func (c *command) referenceVerb() *cobra.Command {
	return &cobra.Command{
		Use:    "reference",
		Short:  "Print the reference of the command line as Markdown",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE:   func(cmd *cobra.Command, args []string) error { return writeReference(c.out, cmd.Root()) },
	}
}

// writeReference writes every verb that is not hidden, in the order of their names.
func writeReference(w io.Writer, root *cobra.Command) error {
	var b strings.Builder
	b.WriteString("# Command line\n\nMade by `eiffelbridge reference`; do not edit.\n\n")
	fmt.Fprintf(&b, "%s\n", root.Long)
	b.WriteString("\n| Verb | |\n|---|---|\n")
	var verbs []*cobra.Command
	var collect func(cmd *cobra.Command)
	collect = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			if sub.Hidden {
				continue
			}
			verbs = append(verbs, sub)
			collect(sub)
		}
	}
	collect(root)
	for _, v := range verbs {
		name := strings.TrimPrefix(v.CommandPath(), root.Name()+" ")
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s |\n", name, strings.ReplaceAll(name, " ", "-"), v.Short)
	}
	for _, v := range verbs {
		fmt.Fprintf(&b, "\n## %s\n\n", strings.TrimPrefix(v.CommandPath(), root.Name()+" "))
		usage := v.UseLine()
		if v.HasAvailableSubCommands() {
			usage = v.CommandPath() + " VERB"
		}
		fmt.Fprintf(&b, "```\n%s\n```\n\n%s\n", usage, markdownText(v.Long))
		var flags []string
		v.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" && !f.Hidden {
				flags = append(flags, flagRow(f))
			}
		})
		if len(flags) > 0 {
			b.WriteString("\n| Flag | | Default |\n|---|---|---|\n" + strings.Join(flags, ""))
		}
		if v.Example != "" {
			fmt.Fprintf(&b, "\n```sh\n%s\n```\n", strings.ReplaceAll(strings.TrimPrefix(v.Example, "  "), "\n  ", "\n"))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// markdownText makes indented lines code.
func markdownText(text string) string {
	return strings.ReplaceAll(text, "\n  ", "\n    ")
}

func flagRow(f *pflag.Flag) string {
	value, usage := pflag.UnquoteUsage(f)
	name := "--" + f.Name
	if value != "" {
		name += " " + value
	}
	standard := f.DefValue
	if standard == "false" {
		standard = ""
	}
	if standard != "" {
		standard = "`" + standard + "`"
	}
	return fmt.Sprintf("| `%s` | %s | %s |\n", strings.ReplaceAll(name, "|", "\\|"), strings.ReplaceAll(usage, "|", "\\|"), standard)
}
