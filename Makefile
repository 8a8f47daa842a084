# Two commands do everything on a fresh machine with Go and git:
#   make run    shows the bridge at work on a RabbitMQ, both ways, and leaves it running until Ctrl-C
#   make test   runs every test against real servers that it starts itself
# The rest is for working on the project.

BIN := bin

.PHONY: run test torture oracle build bench generate lint clean

run: build
	@scripts/run.sh

test:
	@scripts/test.sh

# The fault matrix, whole: about half an hour. It writes its table into docs/torture.md; see there for parts of it.
torture:
	@scripts/ensure-rabbitmq.sh
	go run ./internal/torture/cmd/torture -markdown docs/torture.md

# Shows that package translate still says what it said at the base commit: some minutes. ARGS go to the comparison, such as
# ARGS="-every 20" for a twentieth of it.
oracle:
	@scripts/oracle.sh $(ARGS)

build:
	@echo "building $(BIN)/eiffelbridge"
	@go build -trimpath -o $(BIN)/ ./cmd/eiffelbridge

# Speed is shown here, never in a test: a table of the translation by event type and as a command, then validation, the ledger,
# the transports, the whole relay, plugins. ARGS go to the table, such as ARGS="-types -only service" for a part of it or
# ARGS=-hostile for events that are made to cost much.
bench:
	go run ./internal/testkit/speed/cmd/speed $(ARGS)
	go test -run '^$$' -bench . -benchmem ./translate ./internal/schema ./daemon/... ./internal/transportplugin ./plugins/host

# Everything that is generated, from what it is generated from. The tests say when something is stale.
generate:
	scripts/proto.sh generate
	go generate ./...
	UPDATE_GOLDEN=1 go test -count=1 ./daemon ./internal/readme ./cmd/eiffelbridge/internal/cli -run "Example|Reference|Readme"
	UPDATE_GOLDEN=1 go test -count=1 ./internal/testkit/api -run Listing

lint:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	go vet ./...
	@if command -v golangci-lint >/dev/null; then golangci-lint run; else echo "golangci-lint is not installed: only gofmt and go vet ran"; fi

clean:
	rm -rf $(BIN) dist
