#!/bin/sh
# test.sh is `make test`: it installs what the tests need where it is missing, then runs every test with the race
# detector against servers that the tests start themselves, those without concurrency in full as well, and every fuzz
# target for a bounded number of inputs. The last lines say what ran, what failed and what was skipped. On CI nothing
# that is needed may be missing.
set -eu
cd "$(dirname "$0")/.."

# The summary of the tests is a tool's, at an exact version, outside of our go.mod.
gotestsum="go run gotest.tools/gotestsum@v1.13.0"
# A number of inputs and not a time: at the end of a time, go test now and then reports a deadline as a failure.
fuzz_inputs=${FUZZ_INPUTS:-5000}

say() { printf '== %s\n' "$*"; }

say "RabbitMQ, for the tests of the relay and its transports"
scripts/ensure-rabbitmq.sh

say "Node, for the plugin in JavaScript"
scripts/ensure-node.sh

say "the version vectors of OSV, for the tests of translate/version"
(cd "$(mktemp -d)" && go mod download github.com/google/osv-scalibr@v0.5.3)

say "gofmt, go vet, and the modules as go.mod has them"
unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then
	printf 'not formatted:\n%s\n' "$unformatted"
	exit 1
fi
go mod verify >/dev/null
go vet ./...

say "the plugin protocol: lint, nothing released changed, generated code"
if command -v npx >/dev/null 2>&1; then
	scripts/proto.sh check
elif [ -n "${CI:-}" ]; then
	say "npx is not installed: the plugin protocol cannot be checked"
	exit 1
else
	say "npx is not installed: the plugin protocol was NOT checked"
fi

say "the exported API, held to the last release"
scripts/apidiff.sh

say "fuzzing each target with $fuzz_inputs inputs"
for target in $(grep -rl --include='*_test.go' '^func Fuzz' . | sort); do
	package=$(dirname "$target")
	for name in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$target"); do
		if ! out=$(go test -run '^$' -fuzz "^$name\$" -fuzztime "${fuzz_inputs}x" "$package" 2>&1); then
			printf '%s\n' "$out"
			say "fuzzing $package $name failed"
			exit 1
		fi
		printf '  %s %s: %s\n' "$package" "$name" "$(printf '%s\n' "$out" | grep -o 'execs: [0-9]*' | tail -n 1)"
	done
done

say "what the race detector would only slow down, in full: verdicts of the schemas, laws of the translation, what an event costs"
go test ./internal/schema/... ./conformance/translator
go test -run '^(TestCost|TestAllocations)$' ./translate

say "every test, with the race detector"
EIFFELBRIDGE_REQUIRE_RABBITMQ=1 EIFFELBRIDGE_REQUIRE_NODE="${CI:+1}" $gotestsum --format pkgname -- -race -timeout 10m ./...

say "the examples that are modules of their own"
find examples -name go.mod | sort | while read -r module; do
	say "$(dirname "$module")"
	(cd "$(dirname "$module")" && go mod verify >/dev/null && go vet ./... && $gotestsum --format pkgname -- -race -timeout 10m ./...)
done
