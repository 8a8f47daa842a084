//go:build !race

package translator_test

const (
	randomCases = 3
	everyNth    = 1
	streams     = 100
)
