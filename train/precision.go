package train

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"slipway/builder"
)

// Precisions that Config.Precision names.
const (
	PrecisionFloat32 = "float32"
	// PrecisionTF32 rounds what the steps' convolutions and dense layers multiply to TF32, 10 bits
	// of mantissa instead of 23, as a GPU's tensor cores take it. Sums, all else in a step, what is
	// kept, and every evaluation stay in float32.
	PrecisionTF32 = "tf32"
	// PrecisionBF16 rounds what the steps multiply to bfloat16, 8 bits of mantissa, where a GPU or
	// a CPU has that (Config.CheckCPU). Sums, the weights themselves, their gradients, statistics,
	// the loss, and every evaluation stay in float32. A GPU multiplies so in convolutions and dense
	// layers, and keeps what goes from layer to layer in the steps, and the gradients of that, as
	// bfloat16, too. A CPU multiplies so in those passes of convolutions that take less time for it
	// (builder.Engine.MultiplyBF16), and in nothing else.
	PrecisionBF16 = "bf16"
)

// PrecisionNames lists what Config.Precision may be.
func PrecisionNames() []string {
	return []string{PrecisionFloat32, PrecisionTF32, PrecisionBF16}
}

// checkPrecision reports a precision that there is not, or that the run's device has not. What this
// CPU has is CheckCPU's matter: a run can be read and evaluated where it could not be trained.
func (c *Config) checkPrecision() error {
	switch c.Precision {
	case "", PrecisionFloat32:
		c.Precision = "" // the default, of which a run's record says nothing
		return nil
	case PrecisionTF32, PrecisionBF16:
	default:
		return wrongSetting("precision", "unknown precision %q; there are %s", c.Precision,
			strings.Join(PrecisionNames(), ", "))
	}
	if c.Engine != builder.EngineNative {
		return wrongSetting("precision", "%s does not go with engine %s, which computes in %s",
			c.Precision, c.Engine, PrecisionFloat32)
	}
	if what := c.CPUOnly(); what != "" && c.DeviceOnly() != "" {
		return wrongSetting("precision", "%s is for a GPU, and %s computed on the CPU alone; "+
			"leave out one of them", c.Precision, what)
	}
	if c.Shards > 1 {
		return wrongSetting("precision", "%s does not go with batches that are dealt to shards, which "+
			"are computed in %s; leave out one of them", c.Precision, PrecisionFloat32)
	}
	if c.Device == nil {
		return nil
	}
	check := c.Device.CheckTF32
	if c.Precision == PrecisionBF16 {
		check = c.Device.CheckBF16
	}
	if err := check(); err != nil {
		return fmt.Errorf("device %s: %w; it trains with precision %s", c.Device, err,
			PrecisionFloat32)
	}
	return nil
}

// DeviceOnly names what of the configuration no CPU computes, empty if there is nothing. What some
// CPUs compute, CheckCPU says.
func (c Config) DeviceOnly() string {
	if c.Precision == PrecisionTF32 {
		return "precision " + c.Precision
	}
	return ""
}

// PrecisionError says that what would compute a run's steps does not have their precision.
type PrecisionError struct {
	Precision string
	Err       error
}

// Error names the precision, and why it is not had.
func (e *PrecisionError) Error() string {
	return fmt.Sprintf("precision %s: %v", e.Precision, e.Err)
}

// Unwrap returns Err.
func (e *PrecisionError) Unwrap() error { return e.Err }

// CheckCPU reports steps that this CPU does not compute, by a *PrecisionError: those that only a
// Device does, and those in bfloat16 where the CPU does not multiply that. A network may still have
// nothing that is multiplied so, which Trainer.CheckSteps reports. Another error is of the engine.
func (c Config) CheckCPU() error {
	if c.DeviceOnly() != "" {
		return &PrecisionError{c.Precision, errNoDevice}
	}
	if c.Precision != PrecisionBF16 {
		return nil
	}
	setDefault(&c.Engine, builder.DefaultEngine)
	engine, err := builder.NewEngine(c.Engine, 1)
	if err != nil {
		return err
	}
	defer engine.Close()
	if err := engine.CheckBF16(); err != nil {
		return &PrecisionError{c.Precision, err}
	}
	return nil
}

// errNoDevice is why a precision of GPUs is not had.
var errNoDevice = errors.New("only a GPU has it, and the steps would be computed on this CPU")

// takeEngine makes the trainer's engine. One that does not multiply bfloat16 evaluates all the
// same: CheckSteps keeps it from training.
func (t *Trainer) takeEngine() (err error) {
	c := &t.config
	if t.engine, err = builder.NewEngine(c.Engine, c.Threads); err != nil {
		return err
	}
	if c.Precision == PrecisionBF16 && c.Device == nil {
		t.withoutBF16 = t.engine.MultiplyBF16()
	}
	return nil
}

// CheckSteps reports by a *PrecisionError that the trainer can evaluate but not train: the precision
// is a Device's and there is none, or the engine does not multiply bfloat16, or it would multiply
// none in this network (builder.Engine.MultiplyBF16), which would be trained in float32 and said to
// be in bf16. Fit asks it before its first step.
func (t *Trainer) CheckSteps() error { return t.stepsError() }

// checkSteps is CheckSteps, which makes a graph to count in: once.
func (t *Trainer) checkSteps() error {
	c := &t.config
	switch {
	case c.Device != nil:
		return nil
	case c.DeviceOnly() != "":
		return &PrecisionError{c.Precision, errNoDevice}
	case c.Precision != PrecisionBF16:
		return nil
	case t.withoutBF16 != nil:
		return &PrecisionError{c.Precision, t.withoutBF16}
	}
	graph, err := t.network.Lower(t.variables, builder.LowerOptions{ // what is counted is any batch's
		Batch: min(c.BatchSize, 2), Training: true, Keep: slices.Sorted(maps.Keys(c.ActivationPenalties)),
	})
	if err == nil && graph.BF16 == 0 {
		err = &PrecisionError{c.Precision, fmt.Errorf("nothing of the network %s is multiplied so on a "+
			"CPU: it has no convolution of 16 channels and filters, or of multiples of that, which is "+
			"neither grouped nor dilated and ends in no max pooling", t.network.Name())}
	}
	return err
}
