//go:build race

package schema

// everyNth says which part of the event types the differential tests mutate: the race detector makes it ten times as slow
// and has nothing to find there, since the tests run on one goroutine. `make test` runs them without it as well.
const everyNth = 24
