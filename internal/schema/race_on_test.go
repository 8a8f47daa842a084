//go:build race

package schema

// everyNth says which part of the event types the differential test mutates: the race detector makes it ten times as slow
// and has nothing to find there, since the test runs on one goroutine.
const everyNth = 8
