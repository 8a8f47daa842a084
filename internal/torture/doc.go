//go:build unix

// Package torture runs the relay, as the built command in a process of its own, against real servers and breaks things
// around it while events are under way. What must come out is computed beside it, by the pure translation in memory over the
// same events; a cell of the matrix fails if one event that was accepted is neither delivered nor kept, if an id comes with
// other bytes, if events of a subject change their order, or if the ledger is not the one that the events make.
//
// A cell is one fault in one direction. It has a deadline: one that hangs has failed, with the relay's goroutines in its
// folder. The program in cmd/torture runs the whole matrix and writes the table of docs/torture.md; the test of this package
// runs a short form of it.
package torture
