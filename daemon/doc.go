// Package daemon is the embeddable relay: it moves events from the sources of its transports through the translation
// to their sinks, and loses none on the way.
//
//	source -> decode -> read the ledger -> translate -> sink -> write the ledger -> settle
//
// A delivery is accepted only when everything that follows from it is durable: its outputs at the sink (or the event in
// the dead letters) and what was learned from it in the ledger. There is no queue in between; what is in flight is
// bounded, and lost with the process without harm, because its source makes the delivery again and ids are
// deterministic.
//
// Translation decisions are made one after the other, each with what its predecessors taught, although that is not
// durable yet (see sequencer.go). Publishing runs in parallel as far as no decision rests on another.
//
// A program embeds it so:
//
//	settings, err := daemon.ReadConfig(text, os.LookupEnv).Settings(logger)
//	d, err := daemon.New(settings)
//	err = d.Start(ctx)
//	err = d.Wait()
//	err = d.Shutdown(ctx)
package daemon
