#!/bin/sh
# ensure-node.sh sees to Node 20 or later and npm, for the example plugin in JavaScript: it installs them as root where they are missing,
# with apt, and a Node that is new enough with npm where the system's is too old. It fails only on CI; elsewhere the tests that need them
# are skipped, and the summary says so.
set -eu

node_version=22.21.1 # npm's package node has the binary

there() {
	command -v npm >/dev/null 2>&1 && [ "$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)" -ge 20 ]
}

install() {
	export DEBIAN_FRONTEND=noninteractive
	if ! command -v npm >/dev/null 2>&1; then
		apt-get update && apt-get install -y --no-install-recommends nodejs npm || return
	fi
	there || npm install --global --prefix /usr/local --no-audit --no-fund "node@$node_version"
}

there && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "installing Node and npm"
	log=$(mktemp)
	install >"$log" 2>&1 || tail -5 "$log"
	rm -f "$log"
	hash -r
fi
if ! there; then
	echo "Node 20 or later with npm is missing: the tests of the plugin in JavaScript are skipped"
	[ -z "${CI:-}" ] || exit 1
fi
