package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/eiffelbridge/eiffelbridge/translate/ledger"
)

const (
	// sweepDelay lets a command that opens a ledger for a moment do without.
	sweepDelay = 10 * time.Second
	// sweepCheck is how often it is looked whether a new day has begun.
	sweepCheck = 10 * time.Minute
	// sweepBatch is how many records go at once, and hold up commits meanwhile.
	sweepBatch = 256
	// sweepRest is how long the sweep in the background rests, as a multiple of how long it worked.
	sweepRest = 4
)

// errEnough ends a scan that found what it wanted.
var errEnough = errors.New("enough")

// sweepDaily sweeps once on every day on which the ledger is open, until it closes.
func (s *File) sweepDaily() {
	wait := time.NewTimer(sweepDelay)
	defer wait.Stop()
	for {
		select {
		case <-s.closing.Done():
			return
		case <-wait.C:
		}
		wait.Reset(sweepCheck)
		last, err := s.lastSweep()
		if err == nil && last == day(s.opts.Now()) {
			continue
		}
		if err == nil {
			var n int
			n, err = s.sweep(s.closing, sweepRest)
			if n > 0 {
				s.opts.Logger.Info("removed what was older than the ledger's retention", "records", n)
			}
		}
		if err != nil && s.closing.Err() == nil {
			s.opts.Logger.Warn("the ledger could not be swept; it is tried again later", "error", err)
		}
	}
}

// Sweep implements [Store].
func (s *File) Sweep(ctx context.Context) (int, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	if s.opts.ReadOnly {
		return 0, fmt.Errorf("sweep ledger %s: %w", s.path, ErrReadOnly)
	}
	return s.sweep(ctx, 0)
}

func (s *File) lastSweep() (uint32, error) {
	d, err := s.meta(sweptKey)
	return d.day, err
}

// sweep removes what is expired. After each batch it rests for rest times as long as it worked.
func (s *File) sweep(ctx context.Context, rest int) (int, error) {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	today, oldest := day(s.opts.Now()), s.opts.oldest()
	gone := 0
	for _, kind := range ledger.FactKinds() {
		if !ledger.Ages(kind) {
			continue
		}
		n, err := s.sweepKind(ctx, kind, oldest, rest)
		gone += n
		if err != nil {
			return gone, fmt.Errorf("sweep ledger %s: %w", s.path, err)
		}
	}
	s.order.Lock()
	defer s.order.Unlock()
	err := s.applyUnsynced(func(b *pebble.Batch) error {
		return b.Set([]byte(sweptKey), appendValue(nil, dated{day: today}), nil)
	})
	return gone, err
}

func (s *File) sweepKind(ctx context.Context, kind ledger.FactKind, oldest uint32, rest int) (int, error) {
	gone := 0
	from := []byte{byte(kind)}
	for from != nil {
		began := time.Now()
		keys, next, err := s.findExpired(ctx, kind, from, oldest)
		if err != nil {
			return gone, err
		}
		n, err := s.remove(kind, keys, oldest)
		gone += n
		if err != nil {
			return gone, err
		}
		from = next
		if rest > 0 && from != nil {
			select {
			case <-ctx.Done():
				return gone, ctx.Err()
			case <-time.After(time.Duration(rest) * time.Since(began)):
			}
		}
	}
	return gone, nil
}

// findExpired looks at some records from a key on, and tells where to go on; nil at the end. An iterator keeps files
// from being removed, so none is held through the rests.
func (s *File) findExpired(ctx context.Context, kind ledger.FactKind, from []byte, oldest uint32) (keys []string, next []byte, err error) {
	var failed error // of a read
	get := func(q ledger.Query) ([]byte, error) {
		s.order.RLock()
		defer s.order.RUnlock()
		d, err := s.fetch(q)
		if err != nil {
			failed = err
		}
		return d.record, err
	}
	iter, err := s.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: from, UpperBound: []byte{byte(kind) + 1}})
	if err != nil {
		return nil, nil, s.failure(err)
	}
	seen := 0
	err = func() error {
		for ok := iter.First(); ok; ok = iter.Next() {
			if seen++; seen > 16*sweepBatch || len(keys) == sweepBatch {
				next = append([]byte{}, iter.Key()...)
				return nil
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if s.closing.Err() != nil {
				return ErrClosed
			}
			value, err := iter.ValueAndErr()
			if err != nil {
				return s.failure(err)
			}
			d, err := splitValue(value)
			if err != nil || d.day >= oldest {
				continue // a damaged one is left for a check to find
			}
			key := string(iter.Key()[1:])
			expired, err := s.opts.Expired(kind, key, d.record, get)
			switch {
			case failed != nil:
				return failed
			case err != nil:
				// One damaged record must not keep all others from going.
				s.opts.Logger.Warn("a record of the ledger cannot be judged by its age, so it stays", "kind", kind, "key", key, "error", err)
			case expired:
				keys = append(keys, key)
			}
		}
		return iter.Error()
	}()
	return keys, next, errors.Join(err, iter.Close())
}

// remove deletes those records that were not written since they were found.
func (s *File) remove(kind ledger.FactKind, keys []string, oldest uint32) (int, error) {
	if len(keys) == 0 {
		return 0, nil
	}
	s.order.Lock()
	defer s.order.Unlock()
	gone := 0
	err := s.applyUnsynced(func(b *pebble.Batch) error {
		for _, key := range keys {
			q := ledger.Query{Kind: kind, Key: key}
			d, err := s.fetch(q)
			if err != nil {
				return err
			}
			s.cache.remove(q)
			if d.record == nil || d.day >= oldest {
				continue
			}
			if err := b.Delete(appendKey(nil, q), nil); err != nil {
				return err
			}
			gone++
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return gone, nil
}

// applyUnsynced applies what need not survive a crash. The caller holds order.
func (s *File) applyUnsynced(fill func(*pebble.Batch) error) (err error) {
	if broken := s.broken.Load(); broken != nil {
		return *broken
	}
	if s.fs.waiting.Load() > 0 {
		return ErrFull
	}
	defer func() {
		if r := recover(); r != nil {
			err = s.breakDown(fmt.Errorf("%v", r))
		}
	}()
	b := s.db.NewBatch()
	if err := fill(b); err != nil {
		return err
	}
	return s.db.Apply(b, pebble.NoSync)
}
