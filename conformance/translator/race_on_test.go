//go:build race

package translatorconformance_test

// randomCases are fewer where the race detector makes everything ten times as slow: the kit runs on one goroutine.
const randomCases = 1
