package train

import (
	"flag"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"slipway/internal/cli"
	"slipway/internal/display"
	"slipway/train"
)

// recipeFlags defines how the learning rate goes and what becomes of the weights.
func (o *options) recipeFlags(flags *flag.FlagSet) {
	s := &o.config.Schedule
	flags.StringVar(&s.Name, "schedule", train.ScheduleConstant,
		"how the learning rate goes from step to step, -lr being the highest (docs/schedules.md): "+
			strings.Join(train.ScheduleNames(), ", "))
	flags.Float64Var(&s.Warmup, "warmup", 0,
		"share of the schedule's steps over which the rate rises at first (one-cycle 0.3)")
	flags.Float64Var(&s.WarmupEpochs, "warmup-epochs", 0,
		"the same in `epochs`, also of a constant rate")
	flags.Float64Var(&s.First, "first-factor", 0,
		"the rise's rate at the first step, as a factor of -lr (0.01; one-cycle 0.04)")
	flags.Float64Var(&s.Final, "final-factor", 0,
		"rate at the schedule's end, as a factor of -lr (0; one-cycle 4e-6)")
	flags.Func("milestones",
		"`epochs` after which -schedule step multiplies the rate by -gamma, such as 15,25",
		milestones(&s.Milestones))
	flags.Float64Var(&s.Gamma, "gamma", 0, "what step and plateau multiply the rate by (0.1)")
	flags.IntVar(&s.RestartEpochs, "restart-epochs", 0,
		"`epochs` of the first fall of cosine-restarts")
	flags.IntVar(&s.RestartFactor, "restart-factor", 0,
		"how many times as long each fall of cosine-restarts is as the one before (1)")
	flags.Float64Var(&s.Cooldown, "cooldown", 0,
		"share of the steps over which wsd falls at the end (0.2)")
	cli.Suggest(flags, &s.CooldownShape, "cooldown-shape", "", cli.Words(train.CooldownShapes()),
		"how wsd falls: "+strings.Join(train.CooldownShapes(), " or ")+" ("+train.CooldownRoot+")")
	flags.Func("plateau-patience",
		"`epochs` without a better -best (validation-loss) that plateau bears, 0 for none (10)",
		func(text string) error {
			epochs, err := strconv.Atoi(text)
			if err != nil {
				return fmt.Errorf("%q is no number of epochs", text)
			}
			s.PlateauPatience = &epochs
			return nil
		})
	flags.Float64Var(&s.PlateauThreshold, "plateau-threshold", 0,
		"share by which it has to be better for that (1e-4)")
	flags.IntVar(&s.Epochs, "schedule-epochs", 0,
		"epochs that the schedule takes (-epochs); with -resume it lengthens a schedule that is over")
	flags.IntVar(&o.config.Accumulate, "accumulate", 0,
		"batches in a step of the optimizer, of which one is in memory at a time (1)")
	flags.IntVar(&o.config.Shards, "shards", 0,
		"deal each batch to this `number` of shards, a power of two, whose gradients are added in one fixed order (1; docs/scale.md)")
	cli.Suggest(flags, &o.config.BatchNorm, "batchnorm", "", cli.Words(train.BatchNormModes()),
		fmt.Sprintf(
			"whose statistics BatchNorm trains with where batches are dealt: the %[1]s's, or each "+
				"%[2]s's own (%[1]s)", train.BatchNormBatch, train.BatchNormShard))
	flags.Float64Var(&o.config.ClipNorm, "clip-norm", 0,
		"scale the gradients down to this `norm` where theirs is larger")
	cli.Suggest(flags, &o.config.Best, "best", "", cli.Words(train.BestNames()),
		"keep the weights of the epoch that is best by this `measure`, without ending the run: "+
			strings.Join(train.BestNames(), ", "))
	e := &o.config.EMA
	flags.Float64Var(&e.Decay, "ema", 0,
		"average the weights over the steps with this `decay`, such as 0.999: what is validated, tested and exported is the average")
	flags.BoolVar(&e.Warmup, "ema-warmup", false,
		"let -ema grow to its height with the steps, as 1 - step^(-2/3)")
}

// tellRecipe says which weights the figures of an averaging run are of, and where the average
// looks back over more steps than there are.
func tellRecipe(trainer *train.Trainer, out io.Writer) {
	config := trainer.Config()
	ema := config.EMA
	if ema.IsZero() {
		return
	}
	fmt.Fprintf(out, "validated, tested and exported are averaged weights (%v)\n", ema)
	steps := trainer.StepsPerEpoch() * config.Epochs
	if back := 1 / (1 - ema.Decay); !ema.Warmup && 3*back > float64(steps) {
		fmt.Fprintf(out,
			"note: an average with decay %v looks back over some %s steps, and the run has %s: it keeps much of the first "+
				"weights; take a lower -ema, or -ema-warmup\n", ema.Decay,
			display.Thousands(int(math.Round(back))), display.Thousands(steps))
	}
}

// milestones reads -milestones.
func milestones(into *[]int) func(string) error {
	return func(text string) error {
		*into = nil
		for _, part := range strings.Split(text, ",") {
			epochs, err := strconv.Atoi(strings.TrimSpace(part))
			if err != nil {
				return fmt.Errorf("%q is no list of numbers of epochs, such as 15,25", text)
			}
			*into = append(*into, epochs)
		}
		return nil
	}
}

// recipeZeros are the flags of recipeFlags of which 0 stands for the default.
func (o *options) recipeZeros() []flagIsZero {
	s := &o.config.Schedule
	return []flagIsZero{
		{"warmup", s.Warmup == 0},
		{"warmup-epochs", s.WarmupEpochs == 0},
		{"first-factor", s.First == 0},
		{"final-factor", s.Final == 0 && s.Name == train.ScheduleOneCycle},
		{"schedule-epochs", s.Epochs == 0},
		{"gamma", s.Gamma == 0},
		{"restart-epochs", s.RestartEpochs == 0},
		{"restart-factor", s.RestartFactor == 0},
		{"cooldown", s.Cooldown == 0},
		{"plateau-threshold", s.PlateauThreshold == 0},
		{"shards", o.config.Shards == 0},
		{"accumulate", o.config.Accumulate == 0},
		{"clip-norm", o.config.ClipNorm == 0},
		{"ema", o.config.EMA.Decay == 0},
	}
}
