//go:build unix

package torture

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// pluginCells kill the processes of plugins.
func pluginCells() []*cell {
	return []*cell{
		{name: "mapping plugin killed repeatedly", process: "the plugin", small: true,
			fault: func(ctx context.Context, r *run) error { return killPlugins(ctx, r, "torture-plugin") },
			configure: func(c *configuration) {
				// The bridge's own translation over gRPC: what comes out is the same.
				c.relay += ", plugins: [{name: engine, mode: override}]"
			}},
		{name: "transport plugins killed repeatedly", process: "the plugins", transportPlugins: true,
			fault: func(ctx context.Context, r *run) error {
				if r.direction == ToEiffel {
					return killPlugins(ctx, r, "serve amqp091", "serve cloudevents_http")
				}
				return killPlugins(ctx, r, "serve cloudevents_http", "serve amqp091")
			}},
	}
}

// pluginSections are what the configuration says of plugins.
func (r *run) pluginSections() string {
	var b strings.Builder
	if strings.Contains(r.config.relay, "engine") {
		fmt.Fprintf(&b, "  engine: {path: %q, dev: true}\n", filepath.Join(r.plugins, "torture-plugin"))
	}
	if r.transportPlugins {
		fmt.Fprintf(&b, "  http: {path: %q, args: [plugins, serve, cloudevents_http], dev: true}\n", r.binary)
		fmt.Fprintf(&b, "  amqp: {path: %q, args: [plugins, serve, amqp091], dev: true}\n", r.binary)
	}
	if b.Len() == 0 {
		return ""
	}
	return "plugins:\n" + b.String()
}

// killPlugins kills the processes of plugins by turns.
func killPlugins(ctx context.Context, r *run, programs ...string) error {
	times := r.repeats()
	from := r.progress()
	r.pacer.allow(r.workload.total)
	step := (r.workload.total - from) * 9 / 10 / times
	var hit []string
	for k := range times {
		target := from + k*step + 1
		if err := r.waitFor(ctx, fmt.Sprintf("progress after %d kills", k), func() bool { return r.progress() >= target }); err != nil {
			return err
		}
		if err := sleep(ctx, time.Duration(r.random.IntN(50))*time.Millisecond); err != nil {
			return err
		}
		program := programs[k%len(programs)]
		var pids []int
		if err := r.waitFor(ctx, "a process of "+program, func() bool {
			pids = r.relay.children(program)
			return len(pids) > 0
		}); err != nil {
			return err
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				return fmt.Errorf("kill plugin %d: %w", pid, err)
			}
			hit = append(hit, fmt.Sprint(pid))
		}
		r.over()
	}
	r.hit = strings.Join(programs, " and ") + " " + strings.Join(hit, " ")
	r.saw("%d kills; %d attempts of senders failed; the relay warned %d times", times, r.failuresSince(), r.relay.log.count("level=WARN"))
	return nil
}
