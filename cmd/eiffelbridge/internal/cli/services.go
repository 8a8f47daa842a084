package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/package-url/packageurl-go"
	"github.com/spf13/cobra"

	"github.com/eiffelbridge/eiffelbridge/daemon/board"
	"github.com/eiffelbridge/eiffelbridge/daemon/ledger"
)

// maxAnswer bounds what is read of an answer of a relay.
const maxAnswer = 256 << 20

func (c *command) servicesVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "services",
		Short: "Show what runs where, and what ran there before",
		Long: `Show which artifact each service runs in each environment, as the ledger knows it, and with
--history what happened to it. The table shortens what is long, such as digests; the json form has
everything in full.

A running relay holds its ledger: ask it with --url, the address of its admin listener. If that
wants a token, it is taken from the environment variable EIFFELBRIDGE_ADMIN_TOKEN.`,
		Example: `  eiffelbridge services --ledger ledger
  eiffelbridge services --url http://127.0.0.1:9090 --history
  eiffelbridge services --format json | jq -r '.services[] | select(.status=="running").artifact'`,
		Args: cobra.NoArgs,
	}
	var path, admin string
	var history bool
	cmd.Flags().StringVar(&path, "ledger", "ledger", "`PATH` of the ledger, a folder")
	cmd.Flags().StringVar(&admin, "url", "", "`ADMIN` listener of a running relay to ask instead, such as http://127.0.0.1:9090")
	cmd.Flags().BoolVar(&history, "history", false, "show what happened to each service too")
	format := chosen(cmd, "format", "table", "form of the output", "table", "json")
	colour := addColour(cmd)
	_ = cmd.MarkFlagDirname("ledger")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if admin != "" && cmd.Flags().Changed("ledger") {
			return usagef("--ledger and --url exclude each other: a running relay knows its own ledger")
		}
		ctx, stop := c.watch(cmd.Context())
		defer stop()
		services, err := c.services(ctx, path, admin)
		if err != nil {
			return err
		}
		if *format == "json" {
			return writeServices(c.out, services, history)
		}
		return c.printServices(c.painter(*colour), services, history)
	}
	return cmd
}

func (c *command) services(ctx context.Context, path, admin string) (services []board.Service, err error) {
	if admin != "" {
		var answer struct {
			Services []board.Service `json:"services"`
		}
		if err := c.askRelay(ctx, admin, "/services", &answer); err != nil {
			return nil, err
		}
		return answer.Services, nil
	}
	store, err := openLedger(path, ledger.Options{ReadOnly: true})
	if err != nil {
		var busy *busyError
		if errors.As(err, &busy) {
			return nil, askInstead(busy, "")
		}
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return board.Board(ctx, store)
}

// askRelay gets a JSON answer of the admin listener.
func (c *command) askRelay(ctx context.Context, admin, path string, into any) error {
	if !strings.Contains(admin, "://") {
		admin = "http://" + admin
	}
	u, err := url.Parse(admin)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return usagef("--url %q is not the address of an admin listener, such as http://127.0.0.1:9090", admin)
	}
	u = u.JoinPath(path)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return &usageError{err}
	}
	if token, _ := c.env.LookupEnv("EIFFELBRIDGE_ADMIN_TOKEN"); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{Timeout: time.Minute}
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("ask the relay: %w; is it running, and is this its admin listener?", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusUnauthorized {
		return fmt.Errorf("ask the relay: it wants a token; set EIFFELBRIDGE_ADMIN_TOKEN to the admin.token of its configuration")
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("ask the relay: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the relay: %s answered %s: %s", u.Redacted(), answer.Status, oneLine(strings.TrimSpace(fmt.Sprintf("%.200s", body))))
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("ask the relay: %s did not answer as an admin listener does: %w", u.Redacted(), err)
	}
	return nil
}

// writeServices writes what the admin listener answers; without the histories if they were not asked for.
func writeServices(w io.Writer, services []board.Service, history bool) error {
	type bare struct {
		Service     board.Name `json:"service"`
		Environment board.Name `json:"environment"`
		Artifact    string     `json:"artifact,omitempty"`
		Version     string     `json:"version,omitempty"`
		Since       time.Time  `json:"since"`
		EventID     string     `json:"event_id"`
		Status      string     `json:"status"`
	}
	if history {
		return writeIndented(w, map[string]any{"services": append([]board.Service{}, services...)})
	}
	list := []bare{}
	for _, s := range services {
		list = append(list, bare{s.Service, s.Environment, s.Artifact, s.Version, s.Since, s.EventID, s.Status})
	}
	return writeIndented(w, map[string]any{"services": list})
}

const boardTime = "2006-01-02 15:04:05Z"

func (c *command) printServices(p *painter, services []board.Service, history bool) error {
	if len(services) == 0 {
		p.line("No service was ever deployed, as far as this ledger knows.")
		return p.err
	}
	p.fitted("", serviceRows(services))
	if !history {
		return p.err
	}
	for _, s := range services {
		p.line("")
		p.line(p.paint(bold, clip(oneLine(s.Service.ID), width/2)) + " in " + clip(oneLine(s.Environment.ID), width/2-4))
		p.fitted("  ", historyRows(s))
	}
	return p.err
}

// serviceRows is the board. The artifacts have a column if all of them fit, else each a line below its service.
func serviceRows(services []board.Service) [][]cell {
	titles := []cell{{"ENVIRONMENT", dim}, {"SERVICE", dim}, {"VERSION", dim}, {"STATUS", dim}, {"SINCE", dim}}
	wide := [][]cell{append(slices.Clone(titles), cell{"ARTIFACT", dim})}
	narrow := [][]cell{titles}
	for _, s := range services {
		status := dim
		if s.Status == board.Running {
			status = green
		}
		version := shortDigests(oneLine(s.Version))
		if version == "" {
			version = "-"
		}
		row := []cell{{clip(oneLine(s.Environment.ID), width/2), plain}, {clip(oneLine(s.Service.ID), width/2), bold},
			{clip(version, width/2), plain}, {s.Status, status}, {s.Since.UTC().Format(boardTime), plain}}
		artifact := shortDigests(oneLine(s.Artifact))
		wide = append(wide, append(slices.Clone(row), cell{artifact, dim}))
		narrow = append(narrow, row)
		if artifact != "" {
			narrow = append(narrow, []cell{{clip(artifact, width-2), dim}})
		}
	}
	if total("", width, wide) <= width {
		return wide
	}
	return narrow
}

// historyRows is what happened to a service. The board has its artifact already: a row has no more than the version, unless
// it is about another artifact.
func historyRows(s board.Service) [][]cell {
	kind := func(e board.Event) string { return strings.ReplaceAll(oneLine(e.What), "_", " ") }
	ends := func(e board.Event) bool { return e.What == board.Removal || e.What == board.EnvironmentClosed }
	longest := 0
	for _, e := range s.History {
		if !ends(e) {
			longest = max(longest, len(kind(e)))
		}
	}
	var rows [][]cell
	last := unversioned(s.Artifact)
	for _, e := range s.History {
		what, style := kind(e), yellow
		// What ends is what ran, which the row above has said.
		if !ends(e) {
			what, style = fmt.Sprintf("%-*s  %s", longest, what, clip(shortDigests(oneLine(e.Version)), width/4)), green
		}
		rows = append(rows, []cell{{e.Time.UTC().Format(boardTime), plain}, {strings.TrimRight(what, " "), style}, {e.EventID, dim}})
		if artifact := unversioned(e.Artifact); artifact != last && !ends(e) {
			rows = append(rows, []cell{{clip(shortDigests(oneLine(e.Artifact)), width-4), dim}})
			last = artifact
		}
	}
	return rows
}

// unversioned is a purl without its version, and what is no purl as it is.
func unversioned(purl string) string {
	p, err := packageurl.FromString(purl)
	if err != nil {
		return purl
	}
	p.Version = ""
	return p.ToString()
}

// digest is a digest as versions and purls have it; people tell digests apart by their beginning.
var digest = regexp.MustCompile(`\b(sha[0-9]+(?::|%3[Aa])[0-9a-f]{12})[0-9a-f]{8,}`)

func shortDigests(text string) string { return digest.ReplaceAllString(text, "${1}…") }
