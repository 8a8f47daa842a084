//go:build !race

package translatorconformance_test

const (
	randomCases = 3
	everyNth    = 1
	streams     = 100
)
