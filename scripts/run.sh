#!/bin/sh
# run.sh is `make run`: it finds a RabbitMQ or starts one, and runs the demo on it. What it started, Ctrl-C stops.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'make run: %s\n' "$*"; }

broker_pid=
container=
fifo=

cleanup() {
	if [ -n "$broker_pid" ]; then
		exec 3>&- # rabbitd stops at the end of its standard input
		wait "$broker_pid" 2>/dev/null || true
	fi
	if [ -n "$container" ]; then
		docker stop "$container" >/dev/null || true
	fi
	if [ -n "$fifo" ]; then
		rm -rf "$fifo"
	fi
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

listening() { # host port
	go run ./scripts/listening "$1" "$2" 2>/dev/null
}

private_broker() {
	say "starting a private RabbitMQ on free ports of the loopback, in a temporary folder"
	go build -o bin/rabbitd ./internal/rabbittest/cmd/rabbitd
	fifo=$(mktemp -d)
	mkfifo "$fifo/in" "$fifo/out"
	# With -stdin it does not heed Ctrl-C, so that the broker is there until the relay has drained.
	bin/rabbitd -stdin <"$fifo/in" >"$fifo/out" &
	broker_pid=$!
	exec 3>"$fifo/in"
	AMQP_URL=
	while read -r line; do
		case "$line" in AMQP_URL=*) AMQP_URL=${line#AMQP_URL=}; break ;; esac
	done <"$fifo/out"
	if [ -z "$AMQP_URL" ]; then
		say "RabbitMQ did not start"
		exit 1
	fi
}

if [ -n "${AMQP_URL:-}" ]; then
	say "using the RabbitMQ that AMQP_URL names"
elif listening 127.0.0.1 5672; then
	say "using the RabbitMQ on localhost:5672"
	AMQP_URL=amqp://guest:guest@127.0.0.1:5672/
elif scripts/ensure-rabbitmq.sh --check; then
	private_broker
elif command -v docker >/dev/null 2>&1 && docker info >/dev/null 2>&1; then
	say "starting RabbitMQ with Docker (image rabbitmq:4)"
	container=$(docker run -d --rm -p 127.0.0.1:0:5672 rabbitmq:4)
	port=$(docker port "$container" 5672/tcp | sed 's/.*://')
	tries=0
	until docker exec "$container" rabbitmq-diagnostics -q check_port_connectivity >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ "$tries" -lt 60 ] || { say "RabbitMQ did not start in its container"; exit 1; }
		sleep 1
	done
	AMQP_URL=amqp://guest:guest@127.0.0.1:$port/
else
	scripts/ensure-rabbitmq.sh
	private_broker
fi
export AMQP_URL

go build -o bin/demo ./examples/demo
# Not exec: the broker is to stop after the demo. The demo handles Ctrl-C itself.
trap : INT
bin/demo -bridge bin/eiffelbridge -amqp "$AMQP_URL" "$@"
