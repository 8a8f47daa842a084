//go:build race

package translator_test

// The race detector makes everything ten times as slow and has nothing to find here, since the kit runs on one goroutine.
// `make test` runs the tests without it as well.
const (
	randomCases = -1 // of each type: none
	everyNth    = 24 // fault
	streams     = 10
)
