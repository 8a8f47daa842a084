package speed

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Table is a table to print.
type Table struct {
	Title   string
	Columns []Column
	Rows    [][]string // a row that is shorter than the columns has nothing in the rest; one of a single cell is a line of text
	Note    string     // below the table
}

// Column is the head of a column.
type Column struct {
	Name  string
	Right bool // its cells are aligned at the right
}

// width is how many columns of a screen a table may take.
const width = 100

// Print writes the table as aligned text. The first column is cut where the rest leaves it no room.
func (t *Table) Print(w io.Writer) {
	widths := make([]int, len(t.Columns))
	for i, c := range t.Columns {
		widths[i] = utf8.RuneCountInString(c.Name)
	}
	for _, row := range t.Rows {
		for i, cell := range row {
			if len(row) > 1 {
				widths[i] = max(widths[i], utf8.RuneCountInString(cell))
			}
		}
	}
	rest := 0
	for _, n := range widths[1:] {
		rest += 2 + n
	}
	widths[0] = min(widths[0], max(width-rest, 20))
	fmt.Fprintf(w, "%s\n\n", t.Title)
	line := func(cells []string) {
		var b strings.Builder
		for i, cell := range cells {
			if len(cells) == 1 {
				b.WriteString(cut(cell, width))
				break
			}
			cell = cut(cell, widths[i])
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i > 0 {
				b.WriteString("  ")
			}
			if t.Columns[i].Right {
				b.WriteString(pad + cell)
			} else {
				b.WriteString(cell + pad)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
	head := make([]string, len(t.Columns))
	rule := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		head[i], rule[i] = c.Name, strings.Repeat("-", widths[i])
	}
	line(head)
	line(rule)
	for _, row := range t.Rows {
		line(row)
	}
	if t.Note != "" {
		fmt.Fprintf(w, "\n%s\n", t.Note)
	}
	fmt.Fprintln(w)
}

// Markdown writes the table as markdown.
func (t *Table) Markdown(w io.Writer) {
	fmt.Fprintf(w, "## %s\n\n", t.Title)
	line := func(cells []string) {
		full := make([]string, len(t.Columns))
		for i, cell := range cells {
			full[i] = strings.ReplaceAll(strings.TrimSpace(cell), "|", `\|`)
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(full, " | "))
	}
	head := make([]string, len(t.Columns))
	rule := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		head[i], rule[i] = c.Name, "---"
		if c.Right {
			rule[i] = "---:"
		}
	}
	line(head)
	line(rule)
	for _, row := range t.Rows {
		line(row)
	}
	if t.Note != "" {
		fmt.Fprintf(w, "\n%s\n", t.Note)
	}
	fmt.Fprintln(w)
}

// cut shortens a text to so many characters.
func cut(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	runes := []rune(s)
	return string(runes[:most-1]) + "…"
}

// number writes a number with about three digits.
func number(f float64) string {
	switch {
	case f >= 100:
		return strconv.FormatFloat(f, 'f', 0, 64)
	case f >= 10:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 2, 64)
}
