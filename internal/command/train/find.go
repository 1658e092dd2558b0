package train

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"slipway/internal/atomicfile"
	"slipway/train"
)

// finder is what -find-lr asks for.
type finder struct {
	on    bool
	sweep train.RateSweep
}

// findFlags defines the learning-rate finder.
func (o *options) findFlags(flags *flag.FlagSet) {
	s := &o.find.sweep
	flags.BoolVar(&o.find.on, "find-lr", false,
		"train no run, but some steps at rising learning rates, and say which suit the other flags; writes lr-find.svg and .csv into runs/NAME-find (docs/schedules.md)")
	flags.Float64Var(&s.First, "find-first", 0, "the first `rate` of -find-lr (1e-7)")
	flags.Float64Var(&s.Last, "find-last", 0, "the last `rate` of -find-lr (10)")
	flags.IntVar(&s.Steps, "find-steps", 0, "how many `steps` -find-lr takes at most (100)")
}

// checkFind rejects what does not go with the finder, or without it.
func (o *options) checkFind() error {
	for name := range o.given {
		if strings.HasPrefix(name, "find-") && !o.find.on {
			return fmt.Errorf("-%s applies to -find-lr alone", name)
		}
	}
	switch {
	case !o.find.on:
		return nil
	case o.tensorBoard != "":
		return errors.New("-tensorboard does not apply to -find-lr, which trains no run")
	case o.device == deviceCUDA:
		return errors.New("-device cuda does not go with -find-lr, which computes on the CPU alone")
	case o.config.DeviceOnly() != "":
		return fmt.Errorf("-%s is for a GPU, and -find-lr computes on the CPU alone: find the rate "+
			"without it", o.config.DeviceOnly())
	}
	return nil
}

// findRate sweeps the learning rate, and writes and prints what it came to.
func findRate(ctx context.Context, o *options, out io.Writer) error {
	err := o.config.CheckCPU()
	if lacks := (*train.PrecisionError)(nil); errors.As(err, &lacks) {
		return fmt.Errorf("-%w; -find-lr computes on the CPU alone: find the rate without it", lacks)
	}
	if err != nil {
		return err
	}
	p, err := o.prepare(ctx, out)
	if err != nil {
		return err
	}
	network, config := p.network, p.config
	dir := filepath.Join(o.runs, o.runName(network)+"-find")
	if _, err := os.Stat(filepath.Join(dir, "checkpoints")); err == nil {
		return fmt.Errorf("%s is the folder of a run, which stays as it is; give another -name", dir)
	}
	curve, err := train.FindRate(ctx, network, p.sets.training, config, p.initial, o.find.sweep)
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted before the learning rates were tried: there is nothing to save")
	}
	if err != nil {
		return remedied(err)
	}
	table, err := curve.CSV()
	if err != nil {
		return err
	}
	picture, err := curve.SVG(network.Name())
	if err != nil {
		return err
	}
	if err := atomicfile.MkdirAll(dir); err != nil {
		return err
	}
	if err := errors.Join(atomicfile.WriteBytes(filepath.Join(dir, "lr-find.csv"), table),
		atomicfile.WriteBytes(filepath.Join(dir, "lr-find.svg"), picture)); err != nil {
		return err
	}
	first, last, lowest := curve[0], curve[len(curve)-1], curve.Lowest()
	fmt.Fprintf(out,
		"%d steps at rates from %.2g to %.2g: smoothed loss %.4f, lowest %.4f at %.2g, %.4f at the end\n",
		len(curve), first.Rate, last.Rate, first.Smoothed, lowest.Smoothed, lowest.Rate, last.Smoothed)
	if steepest, falls := curve.Steepest(); falls {
		fmt.Fprintf(out,
			"it falls fastest at %.2g, and a tenth of the lowest's rate is %.2g: a -lr between them is one to try first\n",
			steepest.Rate, lowest.Rate/10)
		for _, group := range config.FineTune.Rates {
			fmt.Fprintf(out, "that is the rate of what no group of -lr names; %s was at %.3g times it\n",
				group.Pattern, group.LearningRate/config.Optimizer.LearningRate)
		}
	} else {
		fmt.Fprintln(out,
			"it falls nowhere: no rate suits; look at the picture, or take more -find-steps")
	}
	fmt.Fprintf(out, "written to %s and lr-find.csv beside it\n", filepath.Join(dir, "lr-find.svg"))
	return nil
}

// findZeros are the flags of findFlags of which 0 stands for the default.
func (o *options) findZeros() []flagIsZero {
	s := &o.find.sweep
	return []flagIsZero{{"find-first", s.First == 0}, {"find-last", s.Last == 0},
		{"find-steps", s.Steps == 0}}
}
