package train

import (
	"fmt"
	"io"
	"strings"

	"slipway/internal/display"
	"slipway/train"
)

// tellIdle says which settings have no effect in a run of that length, or the same one twice.
func tellIdle(trainer *train.Trainer, out io.Writer) {
	config := trainer.Config()
	epochs, schedule := config.Epochs, config.Schedule
	run := "the run's " + display.Count(epochs, "epoch")
	note := func(format string, args ...any) { fmt.Fprintf(out, "note: "+format+"\n", args...) }
	if schedule.WarmupEpochs >= float64(epochs) {
		note("-warmup-epochs %v takes all of %s: the rate does not come to -lr",
			schedule.WarmupEpochs, run)
	}
	var late []string
	for _, milestone := range schedule.Milestones {
		if milestone >= epochs {
			late = append(late, fmt.Sprint(milestone))
		}
	}
	if len(late) > 0 {
		note("-milestones: %s of them (%s) lie at or beyond the end of %s: the rate does not fall "+
			"there", display.Thousands(len(late)), strings.Join(late, ", "), run)
	}
	if schedule.Name == train.ScheduleCosineRestarts && schedule.RestartEpochs >= epochs {
		note("-restart-epochs %d: no restart comes within %s", schedule.RestartEpochs, run)
	}
	if until := config.FineTune.FreezeUntil; until > epochs {
		note("-freeze-until %d is beyond %s: what -freeze names is not trained", until, run)
	}
	if config.Sampling == train.SamplingBalanced && !config.Loss.ClassWeights.IsZero() {
		note("-sampling balanced and -class-weights: rare classes count twice, by how often they are " +
			"drawn and by their weight; one of them is enough")
	}
}
