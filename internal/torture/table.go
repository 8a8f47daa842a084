//go:build unix

package torture

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

func lineHead() string {
	return "cell                         direction   accepted delivered  dups parked letters discarded lost compared ledger recover  full   rss  load before/during/after"
}

func (r *Result) line() string {
	text := fmt.Sprintf("%-28s %-11s %8d %9d %5d %6d %7d %9d %4d %8d %-6s %6.1fs %4.1fs %3dMi  %.0f/%.0f/%.0f in %.0fs, %s, goroutines %s",
		r.Cell, r.Direction, r.Accepted, r.Delivered, r.Duplicates, r.Parked, r.DeadLettered, r.Discarded, r.Lost, r.Compared, r.ledgerText(),
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

// whole tells whether a report has every cell.
func (r *Report) whole() bool {
	return r.Options.Cells == nil && !r.Options.Short && len(r.Options.Directions) == 2
}

const tableHead = "| Fault | Direction | Accepted | Delivered | Duplicates by id | Parked | Dead-lettered | Thrown away | Lost | Ids compared | Ledger right | Recovered, full rate (s) | Events/s before, during, after | RssAnon (MiB) | Goroutines | Hit | What was seen |\n" +
	"|---|---|--:|--:|--:|--:|--:|--:|--:|--:|---|--:|--:|--:|--:|---|---|\n"

// about says how a report was measured.
func (r *Report) about() string {
	return fmt.Sprintf("on %s, %d cores, %s, RabbitMQ %s, %s/%s; at least %d events a cell, sent at up to %d per second, seed %d",
		r.Began.UTC().Format("2006-01-02"), runtime.NumCPU(), runtime.Version(), strings.TrimSpace(r.Broker), runtime.GOOS, runtime.GOARCH,
		r.Options.Events, r.Options.Rate, r.Options.Seed)
}

func (r *Result) ledgerText() string {
	switch {
	case !r.LedgerRight:
		return "no"
	case r.LedgerInPart:
		return "part"
	}
	return "yes"
}

// row is a result in the table.
func (r *Result) row() string {
	if r.None != "" {
		return fmt.Sprintf("%s– | – | – | – | – | – | – | – | – | – | – | – | – | – | %s |\n", r.rowHead(), cellText(r.None))
	}
	seen := r.Evidence
	if r.Failure != "" {
		seen = "**failed**: " + r.Failure
	}
	memory := "–" // of a relay in the process of the harness
	if r.RSS > 0 {
		memory = fmt.Sprint(r.RSS >> 20)
	}
	return fmt.Sprintf("%s%d | %d | %d | %d | %d | %d | %d | %d | %s | %.1f, %.1f | %.0f, %.0f, %.0f | %s | %s | %s | %s |\n",
		r.rowHead(), r.Accepted, r.Delivered, r.Duplicates, r.Parked, r.DeadLettered, r.Discarded, r.Lost, r.Compared, r.ledgerText(),
		r.Recovery.Seconds(), r.FullRate.Seconds(), r.Before, r.During, r.After, memory, r.goroutinesText(), r.Hit, cellText(seen))
}

// rowHead is how the row of a cell begins.
func (r *Result) rowHead() string { return fmt.Sprintf("| %s | %s | ", r.Cell, r.Direction) }

func cellText(s string) string { return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s) }

const (
	tableBegin = "<!-- the table begins: make torture writes it -->\n"
	tableEnd   = "<!-- the table ends -->\n"
)

// WriteTable puts the table of a report between the markers of a file. A report of a part replaces the rows that it has, and says so.
func WriteTable(path string, r *Report) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(text), tableBegin)
	table, tail, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		return fmt.Errorf("%s lacks the markers of the table", path)
	}
	if r.whole() {
		table = fmt.Sprintf("\nMeasured %s; all of it took %s.\n\n%s", r.about(), r.Took.Round(time.Second), tableHead)
		for _, x := range r.Results {
			table += x.row()
		}
		table += "\n"
	} else {
		var again []string
		lines := strings.SplitAfter(table, "\n")
		for _, x := range r.Results {
			at := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, x.rowHead()) })
			if at < 0 {
				return fmt.Errorf("%s has no row for %s, %s: run the whole matrix first", path, x.Cell, x.Direction)
			}
			lines[at] = x.row()
			if x.None == "" {
				again = append(again, fmt.Sprintf("%s (%s)", x.Cell, x.Direction))
			}
		}
		table = strings.Join(lines, "") + fmt.Sprintf("Measured again %s: %s.\n\n", r.about(), strings.Join(again, ", "))
	}
	return os.WriteFile(path, []byte(head+tableBegin+table+tableEnd+tail), 0o644)
}
