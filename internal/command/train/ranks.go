package train

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"slipway/internal/cli"
	"slipway/internal/collective"
	"slipway/internal/display"
	"slipway/internal/mpi"
	"slipway/train"
)

// ranks is what -mpi asks for, and what came of it.
type ranks struct {
	on      bool
	timeout time.Duration
	world   *mpi.Comm // nil of a process that trains alone
}

// rankFlags defines how several processes train one run.
func (o *options) rankFlags(flags *flag.FlagSet) {
	flags.BoolVar(&o.ranks.on, "mpi", false,
		"train the run together with the other processes that mpirun, mpiexec or srun has started, each a part of the -shards (docs/scale.md)")
	flags.DurationVar(&o.ranks.timeout, "mpi-timeout", train.DefaultExchangeTimeout,
		"how long a process of -mpi waits for another before it ends the job")
}

// checkRanks rejects what does not go with -mpi, or without it.
func (o *options) checkRanks() error {
	switch {
	case o.given["mpi-timeout"] && !o.ranks.on:
		return errors.New("-mpi-timeout applies to -mpi alone")
	case o.ranks.timeout <= 0:
		return fmt.Errorf("-mpi-timeout %v; waiting takes time", o.ranks.timeout)
	case o.ranks.on && o.device != deviceCUDA && o.config.DeviceOnly() != "":
		return fmt.Errorf("-mpi trains on CPUs unless -device cuda says otherwise, and -%s is for a GPU",
			o.config.DeviceOnly())
	case o.ranks.on && o.device != deviceCUDA && o.config.Precision == train.PrecisionBF16:
		return fmt.Errorf("-mpi does not go with -precision %s on CPUs, where one process computes it; "+
			"leave out one of them", o.config.Precision)
	case o.ranks.on && o.find.on:
		return errors.New("-mpi does not go with -find-lr, which one process does")
	}
	return nil
}

// join joins the other processes, if -mpi says so. A launcher that has started several without it
// would train the same run in each, over each other's files.
func (r *ranks) join(getenv func(string) string) (err error) {
	launch := mpi.Launched(getenv)
	switch {
	case r.on:
		r.world, err = mpi.Open()
		return err
	case launch.Size > 1:
		return fmt.Errorf("a launcher has started this as one of %d processes (%s), each of which would "+
			"train the same run by itself: give -mpi and -shards to train it together, or start it once",
			launch.Size, launch.By)
	}
	return nil
}

// follows reports whether another process leads the run: writes its folder and prints.
func (r *ranks) follows() bool { return r.world != nil && r.world.Rank() > 0 }

// take makes a configuration one of these ranks.
func (r *ranks) take(config *train.Config) {
	if r.world != nil {
		config.Communicator, config.ExchangeTimeout = r.world, r.timeout
	}
}

// broadcast returns what the rank that leads gives to all. It does not end with a signal: the other
// ranks wait.
func (r *ranks) broadcast(data []byte) ([]byte, error) {
	if r.world == nil {
		return data, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.timeout)
	defer cancel()
	data, err := collective.Broadcast(ctx, r.world, data)
	if err != nil {
		return nil, fmt.Errorf("the checkpoint that rank 0 reads: %w", err)
	}
	return data, nil
}

// leave ends this process's part of the run and returns the exit code. What happened to all ranks
// is told by the first, or by those who know more of it; what happened to one ends the others.
func (r *ranks) leave(err error, stderr io.Writer) int {
	code := cli.ExitOK
	var own *train.OwnError
	var disagreement *train.DisagreementError
	if err != nil {
		code = cli.ExitFailure
		together := train.OnAllRanks(err)
		if !together || !r.follows() || errors.As(err, &own) || errors.As(err, &disagreement) {
			if r.follows() {
				err = fmt.Errorf("rank %d: %w", r.world.Rank(), err)
			}
			code = cli.Fail(stderr, "train", err)
		}
		if !together {
			r.world.Abort(code)
			return code
		}
	}
	// The launcher ends all when one ends badly: not before rank 0 has saved.
	ctx, cancel := context.WithTimeout(context.Background(), r.timeout)
	defer cancel()
	if err := collective.Share(ctx, r.world, make([]byte, r.world.Size())); err != nil {
		err = fmt.Errorf("rank %d waits for the others to end: %w", r.world.Rank(), err)
		code = cli.Fail(stderr, "train", err)
		r.world.Abort(code)
		return code
	}
	if err := r.world.Close(); err != nil {
		return cli.Fail(stderr, "train", err)
	}
	return code
}

// follow trains as a rank that neither writes nor prints. It evaluates its share of the test set
// whenever the rank that leads does.
func follow(ctx context.Context, o *options, warnings *warnings) error {
	o.limitThreads()
	session, err := begin(ctx, o, io.Discard, warnings)
	if err != nil {
		return err
	}
	defer session.close()
	trainer := session.trainer
	if session.testsBefore(o) {
		if _, err := trainer.EvaluateTogether(ctx, session.test); err != nil {
			return err
		}
	}
	err = trainer.Fit(ctx, train.Callbacks{Epoch: func(*train.Epoch) error {
		if session.test == nil {
			return nil
		}
		_, err := trainer.EvaluateTogether(ctx, session.test)
		if err != nil && train.OnAllRanks(err) {
			session.test, err = nil, nil // as on the rank that leads, which says so
		}
		return err
	}})
	if err != nil || session.test == nil {
		return err
	}
	_, err = trainer.EvaluateTogether(ctx, session.test)
	return err
}

// checkpointOf returns the checkpoint that rank 0 reads, which other machines need not have.
func (r *ranks) checkpointOf() (*train.Checkpoint, error) {
	data, err := r.broadcast(nil)
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp("", "slipway-*.safetensors")
	if err != nil {
		return nil, fmt.Errorf("keep rank 0's checkpoint: %w", err)
	}
	defer os.Remove(file.Name())
	_, err = file.Write(data)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("keep rank 0's checkpoint: %w", err)
	}
	return train.ReadCheckpoint(file.Name())
}

// send gives the other ranks the checkpoint in a file.
func (r *ranks) send(path string) error {
	if r.world == nil {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("send the checkpoint to the other ranks: %w", err)
	}
	_, err = r.broadcast(data)
	return err
}

// tell says who trains the run.
func (r *ranks) tell(out io.Writer, config train.Config) {
	if r.world != nil {
		fmt.Fprintf(out, "rank 0 of %d, %s, %s of each batch\n", r.world.Size(), r.world,
			display.Count(max(config.Shards, 1), "shard"))
	}
}
