package train

import (
	"fmt"
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

// CheckCPU reports steps that this CPU does not compute: those that only a Device does, and those
// in bfloat16 where the CPU does not multiply that.
func (c Config) CheckCPU() error {
	if what := c.DeviceOnly(); what != "" {
		return fmt.Errorf("%s is for a GPU, and the steps would be computed on this CPU", what)
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
		return fmt.Errorf("precision %s: %w", c.Precision, err)
	}
	return nil
}

// checkSteps is CheckCPU for steps that no Device computes.
func (c Config) checkSteps() error {
	if c.Device != nil {
		return nil
	}
	return c.CheckCPU()
}

// newEngine returns the engine of the configuration.
func (c Config) newEngine() (*builder.Engine, error) {
	engine, err := builder.NewEngine(c.Engine, c.Threads)
	if err == nil && c.Precision == PrecisionBF16 && c.Device == nil {
		// Where it cannot, it evaluates all the same, in float32: checkSteps keeps it from
		// training.
		_ = engine.MultiplyBF16()
	}
	return engine, err
}
