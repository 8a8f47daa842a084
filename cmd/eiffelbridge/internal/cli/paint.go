package cli

import (
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// width is what text for people keeps to, as far as it can.
const width = 100

// painter writes text for people, in colour or not.
type painter struct {
	w      io.Writer
	colour bool
	err    error
}

// style is an SGR sequence of ECMA-48.
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

// addColour adds the flag --color.
func addColour(cmd *cobra.Command) *string {
	return chosen(cmd, "color", "auto", "when to use colour; auto: on a terminal, unless NO_COLOR is set", "auto", "always", "never")
}

func (c *command) painter(when string) *painter {
	colour := when == "always"
	if when == "auto" {
		no, _ := c.env.LookupEnv("NO_COLOR") // https://no-color.org: set and not empty
		term, _ := c.env.LookupEnv("TERM")
		colour = no == "" && term != "dumb" && isTerminal(c.out)
	}
	return &painter{w: c.out, colour: colour}
}

// paint gives text in a style.
func (p *painter) paint(s style, text string) string {
	if !p.colour || s == plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// line writes a line; after an error it does nothing.
func (p *painter) line(text string) {
	if p.err == nil {
		_, p.err = io.WriteString(p.w, strings.TrimRight(text, " ")+"\n")
	}
}

// cell is one cell of a table.
type cell struct {
	text  string
	style style
}

// table writes rows in columns. No column but the last is wider than most; a longer cell stands on a line of its own.
// The last column is wrapped. A row of one cell is a note on the row above it: it stands below that, indented.
func (p *painter) table(indent string, most int, rows [][]cell) {
	columns := 0
	for _, row := range rows {
		columns = max(columns, len(row))
	}
	widths := make([]int, columns)
	for _, row := range rows {
		for i, c := range row[:len(row)-1] {
			if n := utf8.RuneCountInString(c.text); n <= most {
				widths[i] = max(widths[i], n)
			}
		}
	}
	for _, row := range rows {
		at := len(indent)
		text := indent
		if len(row) == 1 {
			at += 2
			text += "  "
		}
		for i, c := range row[:len(row)-1] {
			text += p.paint(c.style, c.text)
			n := utf8.RuneCountInString(c.text)
			at += widths[i] + 2
			if n > widths[i] {
				p.line(text)
				text = strings.Repeat(" ", at)
				continue
			}
			text += strings.Repeat(" ", widths[i]-n+2)
		}
		last := row[len(row)-1]
		for i, part := range wrap(last.text, max(width-at, 20)) {
			if i > 0 {
				text = strings.Repeat(" ", at)
			}
			if len(row) == 1 {
				part = clip(part, width-at)
			}
			p.line(text + p.paint(last.style, part))
		}
	}
}

// wrap breaks text at spaces into lines of at most n characters; a longer word has a line of its own.
func wrap(text string, n int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= n:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}

// fitted writes a table whose rows keep to the width: the columns are as wide as they need to be while that fits, and the
// longest cells get lines of their own where it does not. The last column is as long as its longest cell, not wrapped.
func (p *painter) fitted(indent string, rows [][]cell) {
	most := width
	for ; most > narrowest; most-- {
		if total(indent, most, rows) <= width {
			break
		}
	}
	p.table(indent, most, rows)
}

// narrowest is the least that a column is narrowed to: shorter ones make a table that nobody can read.
const narrowest = 12

// total is how long the rows of a table get whose longer cells have lines of their own.
func total(indent string, most int, rows [][]cell) int {
	var widths []int
	for _, row := range rows {
		if len(row) == 1 {
			continue
		}
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if n := utf8.RuneCountInString(c.text); n <= most || i == len(row)-1 {
				widths[i] = max(widths[i], n)
			}
		}
	}
	sum := len(indent) + 2*(len(widths)-1)
	for _, w := range widths {
		sum += w
	}
	return sum
}

// clip shortens text to n characters.
func clip(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:n-1]) + "…"
}
