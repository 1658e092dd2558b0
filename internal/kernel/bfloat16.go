package kernel

import "errors"

// MultipliesBF16 reports whether the set multiplies bfloat16: on Linux, on a CPU with AMX.
func (s *Set) MultipliesBF16() bool { return s.tiles != nil }

// CheckBF16 reports why the engine's plans cannot multiply bfloat16 (Engine.BF16), nil if they can.
func (e Engine) CheckBF16() error {
	if err := e.check(); err != nil {
		return err
	}
	if !e.Set.MultipliesBF16() {
		return errors.New("kernel: bf16 takes a CPU with AMX (AMX-TILE and AMX-BF16), Linux, and " +
			"the kernel set avx512")
	}
	return nil
}

// Where a pass takes less time in tiles than in float32, with Winograd's filtering where that
// applies: by BenchmarkConv2DPasses on a Sapphire Rapids. The batch has no say, so that what a
// layer gives for an image does not depend on how many are computed with it.
const (
	tiledWork       = 32   // products for each of the fewer channels that an image is rounded for
	tiledChannels   = 64   // of images and of gradients, whose positions are turned to lie beside each other
	tiledPaddedMost = 1.75 // positions, with those of padding and of strides, for each one without
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
