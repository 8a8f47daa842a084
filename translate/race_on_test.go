//go:build race

package translate_test

// raced says that the race detector is on, under which memory is not counted as it is without. `make test` runs the tests
// that count it without the detector as well.
const raced = true

// everyNthShape says which part of the hostile shapes is tried: the race detector makes them ten times as slow and has
// nothing to find there.
const everyNthShape = 24
