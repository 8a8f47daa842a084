package main

import (
	"embed"
	"fmt"
	"strings"
	"sync"
	"text/template"

	"github.com/eiffelbridge/eiffelbridge/internal/mappingtext"
	"github.com/eiffelbridge/eiffelbridge/mappings"
)

//go:embed templates/*.tmpl
var templateFiles embed.FS

// templates are the pages. A block of a page begins with its blank line and ends without one.
var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"anchor":   strings.ToLower,
	"article":  article,
	"cell":     mappingtext.Cell,
	"code":     mappingtext.Code,
	"count":    count,
	"lossSays": lossSays,
	"lower":    lower,
	"sentence": sentence,
	"sep":      sep,
	"spaced":   func(name string) string { return strings.ReplaceAll(name, "_", " ") },
	"upper":    upper,
}).ParseFS(templateFiles, "templates/*.tmpl"))

// lossSays says why something is lost, as the project's catalogue has it; empty for a reason that it does not know.
func lossSays(reason string) string {
	c, err := catalogue()
	if err != nil {
		return ""
	}
	for _, code := range c.Codes.Losses {
		if code.Code == reason {
			return code.Says
		}
	}
	return ""
}

var catalogue = sync.OnceValues(mappings.Load)

func render(name string, view any) (string, error) {
	var b strings.Builder
	err := templates.ExecuteTemplate(&b, name, view)
	return b.String(), err
}

// sep stands before the element i of a list of n that is written as people do: a, b and c.
func sep(i, n int, word string) string {
	switch i {
	case 0:
		return ""
	case n - 1:
		return " " + word + " "
	}
	return ", "
}

func count(n int, one, many string) string {
	switch n {
	case 0:
		return "no " + many
	case 1:
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return upper(text)
}

func upper(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// lower begins a text with a small letter, but for abbreviations.
func lower(text string) string {
	if len(text) < 2 || text[1] >= 'A' && text[1] <= 'Z' {
		return text
	}
	return strings.ToLower(text[:1]) + text[1:]
}

func article(noun string) string {
	if noun != "" && strings.IndexByte("aeiouAEIO", noun[0]) >= 0 {
		return "an"
	}
	return "a"
}
