// Package host runs plugins: it finds, verifies, starts, supervises and restarts their processes, and hands out what
// survives their restarts.
//
// A [Process] is one plugin as it is configured, and has one [Incarnation] at a time: a running process with a gRPC
// connection to it. Everything else of this package stands on it.
//
// What a plugin is told and may do: it is executed itself, never by way of a shell; it sees of the environment what
// its settings name and nothing else; every file that is pinned has the checksum that is pinned, at every start; it is
// in a process group of its own, so that a terminal's Ctrl-C ends the host first; on Linux the kernel kills it when the
// host dies, and anywhere its standard input and its lease end then.
package host
