package kernel

import (
	"errors"
	"fmt"
)

// BF16 counts the plans that multiply bfloat16. Those of an engine are made one after another.
type BF16 struct{ plans int }

// Plans returns how many plans have a pass in bfloat16.
func (b *BF16) Plans() int { return b.plans }

// CheckBF16 reports why the engine's plans cannot multiply bfloat16 (Engine.BF16), nil if they can.
func (e Engine) CheckBF16() error {
	if err := e.check(); err != nil {
		return err
	}
	return e.Set.CheckBF16()
}

// CheckBF16 reports why plans cannot multiply bfloat16 by the set's loops, nil if they can.
func (s *Set) CheckBF16() error {
	if s.tiles == nil {
		if best := sets()[0]; best.tiles != nil {
			return fmt.Errorf("kernel: bf16 takes AMX, which the kernel set %s does without; %s has it (%s)",
				s.name, best.name, EnvironmentVariable)
		}
		return errors.New("kernel: bf16 takes AMX, and Linux: this CPU, or its system, has no AMX-TILE " +
			"and AMX-BF16")
	}
	if s.permitTiles != nil {
		if err := s.permitTiles(); err != nil {
			return fmt.Errorf("kernel: bf16 takes AMX: %w", err)
		}
	}
	return nil
}

// Where a pass takes less time in tiles than in float32, with Winograd's filtering where that
// applies: by BenchmarkConv2DPasses on a Sapphire Rapids. The batch has no say, so that what a
// layer gives for an image does not depend on how many are computed with it.
const (
	// products for each of the fewer channels that an image is rounded for
	tiledWork = 32
	// of images and of gradients, whose positions are turned to lie beside each other
	tiledChannels = 64
	// positions, with those of padding and of strides, for each one without
	tiledPaddedMost = 1.75
)

// fitsTiles reports whether channels and filters are whole rows of tiles.
func (f *Conv2DConfig) fitsTiles() bool {
	return f.Channels%tileRowsMost == 0 && f.Filters%tileRowsMost == 0
}

// multipliesInTiles reports whether the forward pass and the input's gradient are computed in
// tiles.
func (f *Conv2DConfig) multipliesInTiles() bool {
	return f.KernelHeight*f.KernelWidth*min(f.Channels, f.Filters) >= tiledWork
}

// weightsInTiles reports whether the weights' gradient is.
func (f *Conv2DConfig) weightsInTiles() bool {
	if min(f.Channels, f.Filters) < tiledChannels ||
		f.KernelHeight*f.KernelWidth < f.StrideHeight*f.StrideWidth {
		return false
	}
	height, width := f.Height+2*f.PaddingHeight+f.ExtraHeight, f.Width+2*f.PaddingWidth+f.ExtraWidth
	return float64(height*roundUp(width, 2)) <= tiledPaddedMost*float64(f.Height*f.Width)
}
