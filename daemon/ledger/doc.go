// Package ledger has the stores in which the relay and the command remember: [Memory], which forgets everything with
// the process, and [File], which keeps it in a folder. Both are a [Store]. [Export], [Import] and [Check] work on any
// store.
//
// # The durable store
//
// [Open] makes a folder with a marker that says what it is, a lock file, and the folder of the engine, which is
// [github.com/cockroachdb/pebble/v2]: a log with group commit before sorted tables. A commit returns when the log is
// synced; commits that run at the same time share a sync. Records are merged where they are applied, in one order for
// all; records that are written once as a rule (events, context ids, decisions, entries of histories) are handed to the
// engine unread, which merges the few that were written twice. The records used last are kept in memory, 16 MiB of them;
// ranges are read from the engine.
//
// A commit that changes anything has a number, and each record that of the commit which changed it last: its revision.
// Numbers are taken in blocks of 65,536, so that what was given before a crash is not given again. The revision of a range is the highest
// of its records, or of the commit that last had a record of their kind forgotten, if that is higher.
//
// A ledger of format 1, in which a history was one record and records had no revisions, is copied into one of format 2 when it
// is opened, and the marker turns over to the copy when that is on disk: a crash before leaves the old ledger, and the next
// open begins anew. A ledger that is opened read-only is copied in memory, for as long as it is open.
//
// After a crash, of the program or the machine, there is every batch whose commit returned nil, and of no batch a part.
// A damaged table is found out when it is read ([ErrDamaged]). Of the log that a crash leaves, whatever stands behind
// the first damaged place is taken for what was never committed; closing a ledger moves its log to tables.
//
// A full disk holds commits up until there is room ([ErrFull]). A disk that fails otherwise breaks the store
// ([ErrBroken]), or, where the engine is about to change files and cannot, ends the program; both leave what was
// committed.
//
// # Why this engine
//
// Three were measured under the relay's load (events of four facts of 50 to 200 bytes, two of them on known keys, 480,000
// events in all, which makes a million records) on two cores and a disk whose sync takes about a millisecond:
//
//	                         pebble    log and bbolt    log and map
//	events/s, 64 committers  39,000    28,000           47,000
//	longest commit           61 ms     227 ms           104 ms
//	anonymous memory         41 MB     670 MB           618 MB
//	written to disk          1.2 GB    2.5 GB           0.35 GB
//	on disk                  148 MB    672 MB           299 MB
//	open                     3 ms      14 ms            1,700 ms
//	open with a full log     240 ms    -                1,800 ms
//	open and close, empty    4 ms      1 ms             1 ms
//	start of a program that  5 ms,     0.5 ms,          0 ms
//	imports it, and its size 24 MB     0.5 MB
//
// The other two are an append-only log with one fdatasync per group, with an index behind it: in bbolt, written in the
// background, or in memory alone. The map is the fastest until it is opened, and grows with the ledger; pebble is second,
// stays as small as its caches, and leaves the least to be written here. Its merge operands were three times as fast as
// reading each record before it is written (16,000 against 6,000 events/s on a busy machine); but a record that grows
// by operands is slow to read, so only those written once as a rule use them. With that and its caches the finished store
// takes 70 MB, and 36 µs of a processor for an event; a new ledger opens in 8 ms, a small one in 3 ms, read-only in
// under 1 ms, and closes in 2 to 4 ms after a write.
//
// # Sizes
//
// Keys and records, and what they take on disk compressed, with version 4 UUIDs and artifacts named by digests:
//
//	                                             kept     for the retention    on disk
//	an environment                               220 B    410 B                310 B
//	a service with its first deployment and
//	the artifact                                 1480 B   830 B                700 B
//	each further deployment of another artifact  750 B    940 B                670 B
//
// What is for the retention are the events, their context ids and the choices for a redelivery: 400 to 900 bytes for each
// translated event with what was synthesized for it. A history keeps between 100 and 150 entries, so that of a service that is
// deployed for ever stays below 80 kB, of which a deployment writes half a kilobyte; the subjects of its artifacts stay beside it. A sweep of a million records takes about a
// second of work, and in the background is spread over five.
//
// BenchmarkCommit, BenchmarkRead, BenchmarkOpen and BenchmarkSizes measure this again.
package ledger
