package cli

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/eiffelbridge/eiffelbridge/conformance/plugin"
)

// certifyPlugin runs the kit on a plugin binary, with the events of files besides the kit's own.
func (c *command) certifyPlugin(ctx context.Context, path, config string, files []string, machine bool, p *painter) error {
	o := plugin.Options{Path: path, Logger: slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelError + 4}))}
	if !strings.ContainsAny(path, `/\`) {
		o.Path = "." + string(filepath.Separator) + path
	}
	var err error
	if o.Config, err = readPluginConfig(config); err != nil {
		return err
	}
	if len(files) > 0 {
		err := c.eachEvent(ctx, files, func(in *input) error {
			if in.Err != nil {
				return &configError{fmt.Errorf("%s: %w", in.where(), in.Err)}
			}
			if findings := in.Event.Validate(); len(findings) > 0 {
				return &configError{fmt.Errorf("%s: %w", in.where(), findings[0])}
			}
			o.Events = append(o.Events, in.Event.JSON)
			return nil
		})
		if err != nil {
			return err
		}
	}
	report, err := plugin.Test(ctx, o)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return &configError{err}
	}
	if machine {
		if err := writeIndented(c.out, report); err != nil {
			return err
		}
	} else {
		about := map[string]string{}
		for _, check := range plugin.Checks() {
			about[check.Name] = check.About
		}
		var rows [][]cell
		for _, r := range report.Results {
			state, text := cell{"ok", green}, about[r.Check]
			switch {
			case r.Err != nil:
				state, text = cell{"failed", red}, strings.ReplaceAll(r.Err.Error(), "\n", "; ")
			case r.Skipped != "":
				state, text = cell{"-", dim}, "skipped: "+r.Skipped
			}
			rows = append(rows, []cell{{r.Check, bold}, state, {oneLine(text), plain}})
		}
		p.table("", 40, rows)
		if p.err != nil {
			return p.err
		}
	}
	failed := report.Failed()
	verdict := "all that could be checked hold"
	if failed > 0 {
		verdict = count(failed, "check") + " failed"
	}
	if d := report.Description; d != nil {
		fmt.Fprintf(c.err, "%s: %s %s, a %s plugin, started in %s: %s\n", path, oneLine(d.GetName()), oneLine(d.GetVersion()), kindName(d.GetKind()),
			report.Start.Round(100*time.Microsecond), verdict)
	} else {
		fmt.Fprintf(c.err, "%s: %s\n", path, verdict)
	}
	if failed > 0 {
		return errFailed
	}
	return nil
}
