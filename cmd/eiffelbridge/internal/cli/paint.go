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
// The last column is wrapped.
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

// columns writes rows in columns as wide as they need to be: a table that may be copied from.
func (p *painter) columns(rows [][]cell) {
	var widths []int
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, c := range row {
			b.WriteString(p.paint(c.style, c.text))
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)+2))
			}
		}
		p.line(b.String())
	}
}
