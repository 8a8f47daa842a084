//go:build !race

package translatorconformance_test

const randomCases = 3
