#!/bin/sh
# ensure-rabbitmq.sh makes sure that a rabbitmq-server is installed.
#
# The tests and the demo of `make run` start private, temporary RabbitMQ nodes
# with it; no system service is needed, and none is started. Where RabbitMQ is
# there already the script does nothing. Otherwise it installs the system's own
# package: with apt-get on Debian and its relatives (as root), with Homebrew on
# macOS. Anywhere else it says what to do and exits with status 1.
set -eu

say() { printf 'ensure-rabbitmq: %s\n' "$*" >&2; }

# The places where internal/rabbittest looks, in its order. The path through
# rabbitmqctl is not asked for a version: that would take half a second.
installed() {
	for f in \
		/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server \
		/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server \
		/opt/homebrew/sbin/rabbitmq-server \
		/usr/local/opt/rabbitmq/sbin/rabbitmq-server \
		/usr/local/sbin/rabbitmq-server; do
		if [ -x "$f" ]; then
			return 0
		fi
	done
	command -v rabbitmq-server >/dev/null 2>&1
}

policy=/usr/sbin/policy-rc.d
policy_made=no

cleanup() {
	if [ "$policy_made" = yes ]; then
		rm -f "$policy"
		policy_made=no
	fi
}

install_debian() {
	say "rabbitmq-server is missing; installing the Debian package rabbitmq-server (and the Erlang packages that it needs) with apt-get"
	trap cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	if [ -e "$policy" ]; then
		# It is the administrator's; whatever it says about services holds.
		say "$policy exists and is left as it is"
	else
		say "its system service will not be started ($policy forbids it during the installation)"
		policy_made=yes
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get update
	apt-get install -y --no-install-recommends rabbitmq-server
	cleanup
}

install_homebrew() {
	say "rabbitmq is missing; installing Homebrew's rabbitmq (and the Erlang that it needs) with: brew install rabbitmq"
	say "its service will not be started"
	brew install rabbitmq
}

# --check only tells by its status whether it is installed.
if [ "${1:-}" = --check ]; then
	installed
	exit
fi

if installed; then
	exit 0
fi

if [ "$(uname -s)" = Darwin ]; then
	if ! command -v brew >/dev/null 2>&1; then
		say "rabbitmq is missing, and so is Homebrew; install Homebrew (https://brew.sh), then run: brew install rabbitmq"
		exit 1
	fi
	install_homebrew
elif command -v apt-get >/dev/null 2>&1; then
	if [ "$(id -u)" -ne 0 ]; then
		say "rabbitmq-server is missing, and installing it takes root; run: sudo apt-get update && sudo apt-get install -y --no-install-recommends rabbitmq-server"
		exit 1
	fi
	install_debian
else
	say "rabbitmq-server is missing; install RabbitMQ 3.10 or later with the package manager of this system so that rabbitmq-server is on the PATH"
	exit 1
fi

if ! installed; then
	say "the installation ended without an error, but no rabbitmq-server is found"
	exit 1
fi
say "rabbitmq-server is installed"
