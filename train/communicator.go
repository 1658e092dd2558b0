package train

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"time"
)

// Communicator joins the processes, ranks, that train one run together. It moves bytes and adds
// nothing: sums are taken by the trainer, in the order that Config.Shards says, so that they
// depend neither on the number of ranks nor on what is below a Communicator.
type Communicator interface {
	// Rank is this process's number, 0…Size−1.
	Rank() int
	// Size is the number of ranks.
	Size() int
	// Exchange sends from to the peer and fills to with what the peer sends at the same time: the
	// peer's from has to be as long. Either may be empty. It returns an error when the context
	// ends first; no other exchange can follow then.
	Exchange(ctx context.Context, peer int, to, from []byte) error
}

// DefaultExchangeTimeout is Config.ExchangeTimeout's default.
const DefaultExchangeTimeout = 10 * time.Minute

// checkRanks reports ranks that cannot share the shards.
func (c *Config) checkRanks() error {
	setDefault(&c.ExchangeTimeout, DefaultExchangeTimeout)
	if c.ExchangeTimeout < 0 {
		return fmt.Errorf("an exchange of at most %v; it takes time", c.ExchangeTimeout)
	}
	if c.Communicator == nil {
		return nil
	}
	ranks, shards := c.Communicator.Size(), max(c.Shards, 1)
	switch {
	case bits.OnesCount(uint(ranks)) != 1:
		return fmt.Errorf("%d ranks cannot share shards, whose number is a power of two: start 1, 2, "+
			"4, 8 … of them", ranks)
	case ranks > shards && shards == 1:
		return fmt.Errorf("%d ranks, and batches that are not dealt: say to how many shards, at "+
			"least %[1]d (-shards %[1]d); the bits of a run depend on that number, and not on the "+
			"ranks", ranks)
	case ranks > shards:
		return fmt.Errorf("%d ranks for %d shards of a batch: some would have nothing to do; start "+
			"%[2]d or fewer, or deal to more shards", ranks, shards)
	case ranks > 1 && c.Device != nil:
		_, err := c.joins()
		return err
	}
	return nil
}

// together is what a trainer does with the other ranks.
type together struct {
	Communicator
	timeout time.Duration
	stop    bool // whether a rank was asked to stop, and all know it
	agreed  bool // whether the ranks have found each other alike
}

// newTogether returns nil where a rank is alone.
func newTogether(config Config) *together {
	if config.Communicator == nil || config.Communicator.Size() == 1 {
		return nil
	}
	return &together{Communicator: config.Communicator, timeout: config.ExchangeTimeout}
}

// Exchange waits for the peer as long as the configuration says. It does not end with ctx: the run
// stops where all ranks do.
func (r *together) Exchange(ctx context.Context, peer int, to, from []byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.timeout)
	defer cancel()
	err := r.Communicator.Exchange(ctx, peer, to, from)
	if errors.Is(err, context.DeadlineExceeded) {
		return &SilentError{Rank: peer, After: r.timeout}
	}
	if err != nil {
		return fmt.Errorf("exchange with rank %d: %w", peer, err)
	}
	return nil
}

// ranks is how many train the run.
func (t *Trainer) ranks() int {
	if t.together == nil {
		return 1
	}
	return t.together.Size()
}

// ended reports whether the run is to stop: where there are several ranks, once all know it.
func (t *Trainer) ended(ctx context.Context) bool {
	if t.together == nil {
		return ctx.Err() != nil
	}
	return t.together.stop
}

// working returns the context of work that all ranks do: it ends where all stop and not before.
func (t *Trainer) working(ctx context.Context) context.Context {
	if t.together == nil {
		return ctx
	}
	return context.WithoutCancel(ctx)
}
