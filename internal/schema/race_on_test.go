//go:build race

package schema

// everyNth is how many of the event types the differential test judges: the race detector makes it ten times as slow, and
// one thread per row has no races to find.
const everyNth = 8
