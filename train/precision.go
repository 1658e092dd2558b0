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
	// PrecisionBF16 keeps what goes from layer to layer in the steps, and the gradients of that, as
	// bfloat16, 8 bits of mantissa, on a GPU, and multiplies it by weights that are rounded to it.
	// Sums, the weights themselves, their gradients, statistics, the loss, and every evaluation stay
	// in float32.
	PrecisionBF16 = "bf16"
)

// PrecisionNames lists what Config.Precision may be.
func PrecisionNames() []string {
	return []string{PrecisionFloat32, PrecisionTF32, PrecisionBF16}
}

// checkPrecision reports a precision that there is not, or that what computes the run has not.
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
		return wrongSetting("precision", "%s is for a GPU, and engine %s computes on the CPU",
			c.Precision, c.Engine)
	}
	if what := c.CPUOnly(); what != "" {
		return wrongSetting("precision", "%s is for a GPU, and %s computed on the CPU alone; "+
			"leave out one of them", c.Precision, what)
	}
	if c.Shards > 1 {
		return wrongSetting("precision", "%s does not go with batches that are dealt to shards, which "+
			"are computed in %s; leave out one of them", c.Precision, PrecisionFloat32)
	}
	if c.Precision == PrecisionBF16 && len(c.ActivationPenalties) > 0 {
		return wrongSetting("precision", "%s has no penalties on activations; train with precision %s "+
			"or %s, or without them", c.Precision, PrecisionTF32, PrecisionFloat32)
	}
	if c.Device == nil {
		return nil // a run of a GPU's can be read and evaluated without one
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

// DeviceOnly names what of the configuration no CPU computes, empty if there is nothing.
func (c Config) DeviceOnly() string {
	if c.Precision != "" && c.Precision != PrecisionFloat32 {
		return "precision " + c.Precision
	}
	return ""
}

// checkDevice reports steps that only a Device computes where there is none.
func (c Config) checkDevice() error {
	if what := c.DeviceOnly(); what != "" && c.Device == nil {
		return fmt.Errorf("%s is for a GPU, and the steps would be computed on this CPU", what)
	}
	return nil
}
