//go:build !race

package translate_test

// raced says that the race detector is on, under which memory is not counted as it is without.
const raced = false

// everyNthShape says which part of the hostile shapes is tried.
const everyNthShape = 1
