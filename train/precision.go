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
)

// PrecisionNames lists what Config.Precision may be.
func PrecisionNames() []string { return []string{PrecisionFloat32, PrecisionTF32} }

// checkPrecision reports a precision that there is not, or that what computes the run has not.
func (c *Config) checkPrecision() error {
	switch c.Precision {
	case "", PrecisionFloat32:
		c.Precision = "" // the default, of which a run's record says nothing
		return nil
	case PrecisionTF32:
	case "bf16":
		return wrongSetting("precision", "bf16 is not there: it takes tensors of 16 bits, and all "+
			"that a step keeps and hands on is float32; there are %s", strings.Join(PrecisionNames(), ", "))
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
	if c.Device == nil {
		return nil // a run of a GPU's can be read and evaluated without one
	}
	if err := c.Device.CheckTF32(); err != nil {
		return fmt.Errorf("device %s: %w; it trains with precision %s", c.Device, err,
			PrecisionFloat32)
	}
	return nil
}

// DeviceOnly names what of the configuration no CPU computes, empty if there is nothing.
func (c Config) DeviceOnly() string {
	if c.Precision == PrecisionTF32 {
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
