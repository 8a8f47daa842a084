#!/bin/sh
# ensure-node.sh sees to Node 20 or later and npm, for the example plugin in JavaScript: it installs them with apt as root where they are
# missing. It fails only on CI; elsewhere the tests that need them are skipped, and the summary says so.
set -eu

there() {
	command -v npm >/dev/null 2>&1 && [ "$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)" -ge 20 ]
}

there && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "installing nodejs and npm with apt"
	apt-get install -y --no-install-recommends nodejs npm >/dev/null 2>&1 || true
fi
if ! there; then
	echo "Node 20 or later with npm is missing: the tests of the plugin in JavaScript are skipped"
	[ -z "${CI:-}" ] || exit 1
fi
