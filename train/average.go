package train

import (
	"fmt"
	"math"

	"slipway/builder"
	"slipway/internal/kernel"
)

// EMA is an exponential moving average of the weights (Polyak and Juditsky 1992, in the form of
// Tarvainen and Valpola 2017). Beside the weights p that are trained a run keeps averaged ones a,
// and after step t, counted from 1, sets
//
//	a ← a + (1 − d)·(p − a),   d = 0 at the first step, Decay later
//
// with Warmup d = min(Decay, 1 − t^(−2/3)), so that an average of many steps does not lag behind
// weights that still move fast. What layers keep beside what they learn, the running statistics
// of BatchNorm, is averaged alike.
//
// The averaged weights are those that are validated, tested and exported, and the best ones of
// early stopping; the others alone are trained.
//
// This is timm's ModelEmaV3(decay=Decay, use_warmup=Warmup), and without Warmup also PyTorch's
// AveragedModel(multi_avg_fn=get_ema_multi_avg_fn(Decay), use_buffers=True). The zero value
// averages nothing.
type EMA struct {
	// Decay is the share of the average that a step leaves, between 0 and 1; 0.999 averages over
	// the last thousand steps or so.
	Decay float64 `json:"decay,omitempty"`
	// Warmup lets Decay grow with the steps.
	Warmup bool `json:"warmup,omitempty"`
}

// IsZero reports whether nothing is averaged.
func (e EMA) IsZero() bool { return e == EMA{} }

// check reports what is out of range.
func (e EMA) check() error {
	switch {
	case !(e.Decay >= 0 && e.Decay < 1):
		return wrongSetting("ema.decay",
			"average of the weights: decay %v is out of range; it is between 0 and 1", e.Decay)
	case e.Decay == 0 && e.Warmup:
		return wrongSetting("ema.warmup",
			"average of the weights: a warm-up of no decay; give one, such as 0.999")
	}
	return nil
}

// String says what is averaged, for people.
func (e EMA) String() string {
	switch {
	case e.IsZero():
		return "none"
	case e.Warmup:
		return fmt.Sprintf("decay up to %v", e.Decay)
	}
	return fmt.Sprintf("decay %v", e.Decay)
}

// share is what of the way to the weights the average goes after a step, counted from 1.
func (e EMA) share(step int) float64 {
	switch {
	case step <= 1:
		return 1
	case e.Warmup:
		return 1 - min(e.Decay, 1-math.Pow(float64(step), -2.0/3))
	}
	return 1 - e.Decay
}

// average holds averaged weights, in the order and the layout of a trainer's variables.
type average struct {
	config EMA
	values [][]float32
	// lerp moves the first slice towards the second by a share of what lies between them.
	lerp func(average, weights []float32, share float32) error
}

// newAverage returns the average that begins with the variables as they are, nil where nothing
// is averaged.
func newAverage(config EMA, engine *builder.Engine, variables *builder.Variables) (*average,
	error) {
	if config.IsZero() {
		return nil, nil
	}
	a := &average{config: config, lerp: plainLerp}
	if kernels, native := engine.Kernels(); native {
		pass, err := kernel.NewElementwise(kernels)
		if err != nil {
			return nil, err
		}
		a.lerp = pass.Lerp
	}
	for _, value := range variables.Values() {
		a.values = append(a.values, append([]float32(nil), value.Float32s()...))
	}
	return a, nil
}

// plainLerp is the formula as it is written, for the gorgonia engine.
func plainLerp(average, weights []float32, share float32) error {
	for i, weight := range weights {
		if share == 1 {
			average[i] = weight // a sum would round
			continue
		}
		average[i] += share * (weight - average[i])
	}
	return nil
}

// take averages the variables after a step, counted from 1.
func (a *average) take(variables *builder.Variables, step int) error {
	if a == nil {
		return nil
	}
	share := float32(a.config.share(step))
	for i, value := range variables.Values() {
		if err := a.lerp(a.values[i], value.Float32s(), share); err != nil {
			return fmt.Errorf("average of the weights: %w", err)
		}
	}
	return nil
}

// swap exchanges the average and the variables.
func (a *average) swap(variables *builder.Variables) {
	for i, value := range variables.Values() {
		weights := value.Float32s()
		for k, averaged := range a.values[i] {
			a.values[i][k], weights[k] = weights[k], averaged
		}
	}
}

// weights returns a copy of the average in the public layout, nil where there is none.
func (a *average) weights(variables *builder.Variables) builder.Weights {
	if a == nil {
		return nil
	}
	weights := variables.Weights()
	for i := range weights {
		weights[i].Data = variables.ToPublic(i, a.values[i])
	}
	return weights
}

// setWeights takes up what weights returned.
func (a *average) setWeights(variables *builder.Variables, weights builder.Weights) {
	if a == nil {
		return
	}
	for i, tensor := range weights {
		variables.FromPublic(i, a.values[i], tensor.Data)
	}
}
