//go:build unix

package rabbittest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
)

// ErrNotInstalled is wrapped in Start's error when no RabbitMQ or no Erlang is
// found on this machine.
var ErrNotInstalled = errors.New("rabbitmq-server is not installed (run scripts/ensure-rabbitmq.sh)")

// install is where the programs are.
type install struct {
	server string // rabbitmq-server
	ctl    string // rabbitmqctl
	epmd   string // Erlang's port mapper
	path   string // PATH for all of them
}

// extraPath is searched after PATH: cron jobs and IDEs often lack Homebrew's.
const extraPath = "/opt/homebrew/sbin:/opt/homebrew/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func findInstall() (*install, error) {
	var candidates []string
	for _, pattern := range []string{
		// Debian's /usr/sbin/rabbitmq-server is a wrapper that insists on the
		// user rabbitmq or root and on the folders of the system's service;
		// the script that it runs in the end does not.
		"/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server",
		"/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server",
		"/opt/homebrew/sbin/rabbitmq-server",
		"/usr/local/opt/rabbitmq/sbin/rabbitmq-server",
		"/usr/local/sbin/rabbitmq-server",
	} {
		m, _ := filepath.Glob(pattern) // errors are of the pattern only
		sort.Sort(sort.Reverse(sort.StringSlice(m)))
		candidates = append(candidates, m...)
	}
	if p, err := exec.LookPath("rabbitmq-server"); err == nil {
		candidates = append(candidates, p)
	}
	in := &install{path: os.Getenv("PATH") + ":" + extraPath}
	for _, c := range candidates {
		// A wrapper has no rabbitmqctl beside its target under that name.
		real, err := filepath.EvalSymlinks(c)
		if err != nil || filepath.Base(real) != "rabbitmq-server" {
			continue
		}
		ctl := filepath.Join(filepath.Dir(real), "rabbitmqctl")
		if executable(real) && executable(ctl) {
			in.server, in.ctl = real, ctl
			break
		}
	}
	if in.server == "" {
		return nil, ErrNotInstalled
	}
	if in.epmd = findEpmd(in.path); in.epmd == "" {
		return nil, errors.Join(ErrNotInstalled, errors.New("epmd of Erlang is not found"))
	}
	return in, nil
}

func findEpmd(path string) string {
	var candidates []string
	for _, dir := range filepath.SplitList(path) {
		if dir == "" {
			continue
		}
		candidates = append(candidates, filepath.Join(dir, "epmd"))
		// An Erlang that is not on the PATH with all of its programs keeps
		// them beside the target of erl.
		if erl, err := filepath.EvalSymlinks(filepath.Join(dir, "erl")); err == nil {
			bin := filepath.Dir(erl)
			candidates = append(candidates, filepath.Join(bin, "epmd"))
			m, _ := filepath.Glob(filepath.Join(filepath.Dir(bin), "erts-*", "bin", "epmd"))
			candidates = append(candidates, m...)
		}
	}
	for _, root := range []string{"/usr/lib/erlang", "/opt/homebrew/lib/erlang", "/usr/local/lib/erlang"} {
		m, _ := filepath.Glob(filepath.Join(root, "erts-*", "bin", "epmd"))
		candidates = append(candidates, m...)
	}
	for _, c := range candidates {
		if executable(c) {
			return c
		}
	}
	return ""
}

func executable(name string) bool {
	fi, err := os.Stat(name)
	return err == nil && fi.Mode().IsRegular() && fi.Mode().Perm()&0o111 != 0
}
