package train

import "slipway/internal/device"

// updatesOf fills in what a device updates the parameters by in the phase under way.
func (t *Trainer) updatesOf(job *device.Job) {
	config := t.phase
	job.Optimizer, job.Slots = device.Optimizer(config.Optimizer), config.Optimizer.slots()
	for _, parameter := range t.optimizer.parameters {
		trained := device.Trained{
			Tensor: parameter.at, LearningRate: config.Optimizer.LearningRate, Since: parameter.since,
		}
		if parameter.rate != 0 {
			trained.LearningRate = parameter.rate
		}
		if parameter.decays {
			trained.WeightDecay = config.Optimizer.WeightDecay
		}
		job.Trained = append(job.Trained, trained)
	}
	if t.paced() {
		job.Paced = t.batches.Steps()
	}
	job.ClipNorm, job.Averages = config.ClipNorm, !config.EMA.IsZero()
	if config.Accumulate > 1 {
		unit := 1
		if t.mixer != nil {
			unit = 2 // a pair of images that are mixed goes forward and back together
		}
		job.Batch = t.batchImages(config.stepImages(), unit)
	}
	if config.Shards > 1 {
		job.Shards, job.Deal = config.Shards, t.deal
	}
}

// paced reports whether steps differ by more than what they have learned.
func (t *Trainer) paced() bool { return t.config.Schedule.varies() || !t.config.EMA.IsZero() }

// paces returns what the steps go by that are left of the epoch under way, nil if none differs.
func (t *Trainer) paces() []device.Pace {
	if !t.paced() {
		return nil
	}
	paces := make([]device.Pace, t.batches.Steps()-t.progress.EpochStep)
	for i := range paces {
		step := t.progress.Step + i
		paces[i] = device.Pace{Factor: t.rateFactorAt(step), Average: t.config.EMA.share(step + 1)}
	}
	return paces
}
