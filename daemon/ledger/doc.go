// Package ledger has the stores in which the relay and the command remember: one in memory and one in files.
package ledger
