//go:build unix

package torture

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

func lineHead() string {
	return "cell                         direction   accepted delivered  dups parked letters discarded lost compared ledger recover  full   rss  load before/during/after"
}

func (r *Result) line() string {
	right := "no"
	if r.LedgerRight {
		right = "yes"
	}
	text := fmt.Sprintf("%-28s %-11s %8d %9d %5d %6d %7d %9d %4d %8d %-6s %6.1fs %4.1fs %3dMi  %.0f/%.0f/%.0f in %.0fs, %s, goroutines %s",
		r.Cell, r.Direction, r.Accepted, r.Delivered, r.Duplicates, r.Parked, r.DeadLettered, r.Discarded, r.Lost, r.Compared, right,
		r.Recovery.Seconds(), r.FullRate.Seconds(), r.RSS>>20, r.Before, r.During, r.After, r.Took.Seconds(), r.Hit, r.goroutinesText())
	if r.Evidence != "" {
		text += "\n    " + r.Evidence
	}
	if r.Failure != "" {
		text += "\n    FAILED: " + r.Failure
	}
	return text
}

func (r *Result) goroutinesText() string {
	if r.Goroutines == 0 {
		return "–"
	}
	return fmt.Sprintf("%d→%d", r.Goroutines, r.GoroutinesAfter)
}

// Markdown is the table for the documentation.
func (r *Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s, %d cores, %s, RabbitMQ %s, %s/%s; at least %d events a cell, sent at up to %d per second, seed %d; all of it took %s.\n\n",
		r.Began.UTC().Format("2006-01-02"), runtime.NumCPU(), runtime.Version(), strings.TrimSpace(r.Broker), runtime.GOOS, runtime.GOARCH,
		r.Options.Events, r.Options.Rate, r.Options.Seed, r.Took.Round(time.Second))
	b.WriteString("| Fault | Direction | Accepted | Delivered | Duplicates by id | Parked | Dead-lettered | Thrown away by the broker | Lost | Ids compared | Ledger right | Recovered, full rate (s) | Events/s before, during, after | RssAnon (MiB) | Goroutines | Hit | What was seen |\n")
	b.WriteString("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|---|--:|--:|--:|--:|---|---|\n")
	for _, x := range r.Results {
		if x.None != "" {
			fmt.Fprintf(&b, "| %s | %s | – | – | – | – | – | – | – | – | – | – | – | – | – | – | %s |\n", x.Cell, x.Direction, cellText(x.None))
			continue
		}
		right := "**no**"
		if x.LedgerRight {
			right = "yes"
		}
		seen := x.Evidence
		if x.Failure != "" {
			seen = "**failed**: " + x.Failure
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %d | %d | %d | %d | %d | %s | %.1f, %.1f | %.0f, %.0f, %.0f | %d | %s | %s | %s |\n",
			x.Cell, x.Direction, x.Accepted, x.Delivered, x.Duplicates, x.Parked, x.DeadLettered, x.Discarded, x.Lost, x.Compared, right,
			x.Recovery.Seconds(), x.FullRate.Seconds(), x.Before, x.During, x.After, x.RSS>>20, x.goroutinesText(), x.Hit, cellText(seen))
	}
	return b.String()
}

func cellText(s string) string { return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s) }

const (
	tableBegin = "<!-- the table begins: make torture writes it -->\n"
	tableEnd   = "<!-- the table ends -->\n"
)

// WriteTable puts the table of a report between the markers of a file.
func WriteTable(path string, r *Report) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(text), tableBegin)
	_, tail, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		return fmt.Errorf("%s lacks the markers of the table", path)
	}
	return os.WriteFile(path, []byte(head+tableBegin+"\n"+r.Markdown()+"\n"+tableEnd+tail), 0o644)
}
