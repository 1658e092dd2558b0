package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"slipway/internal/reference"
)

// grouped are ordinary and adversarial shapes: a convolution, groups, dilation.
var grouped = []GroupedConv2DConfig{
	{Conv2DConfig{2, 7, 6, 128, 160, 3, 3, 1, 1, 1, 1, false, nil, false, false, 0, 0, true}, 2, 1, 1},
	{Conv2DConfig{1, 5, 5, 3, 6, 3, 2, 2, 1, 1, 0, false, nil, false, false, 0, 1, false}, 3, 1, 1},
	{Conv2DConfig{3, 6, 7, 34, 17, 1, 1, 1, 1, 0, 0, false, nil, true, false, 0, 0, false}, 17, 1, 1},
	{Conv2DConfig{2, 9, 8, 5, 7, 3, 3, 1, 1, 2, 2, false, nil, false, false, 0, 0, false}, 1, 2, 2},
	{Conv2DConfig{2, 11, 9, 4, 6, 3, 2, 2, 1, 1, 3, false, nil, false, false, 1, 0, false}, 2, 3, 4},
	{Conv2DConfig{1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, false, nil, false, false, 0, 0, false}, 1, 5, 5},
	{Conv2DConfig{2, 8, 8, 64, 32, 3, 3, 1, 1, 2, 2, false, nil, false, false, 0, 0, true}, 2, 2, 2},
}

func TestGroupedConv2D(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for i, f := range grouped {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(i), 3))
				c := reference.Conv2D{
					Batch: f.Batch, Channels: f.Channels, Height: f.Height, Width: f.Width, Filters: f.Filters,
					Groups:       f.Groups,
					KernelHeight: f.KernelHeight, KernelWidth: f.KernelWidth, StrideHeight: f.StrideHeight,
					StrideWidth:   f.StrideWidth,
					PaddingHeight: f.PaddingHeight, PaddingWidth: f.PaddingWidth, ExtraHeight: f.ExtraHeight,
					ExtraWidth:     f.ExtraWidth,
					DilationHeight: f.DilationHeight, DilationWidth: f.DilationWidth,
				}
				oh, ow := c.Output()
				channels, area := f.Channels/f.Groups, f.KernelHeight*f.KernelWidth
				x, w, b := random(r, f.Batch*f.Height*f.Width*f.Channels), random(r,
					f.Filters*area*channels), random(r, f.Filters)
				dy := random(r, f.Batch*oh*ow*f.Filters)
				y, dx, dw, db := make([]float32, len(dy)), make([]float32, len(x)), make([]float32,
					len(w)), make([]float32, len(b))
				g, err := NewGroupedConv2D(engine, f)
				must(t, err)
				run := func() {
					must(t, g.Forward(y, x, w, b))
					must(t, g.BackwardParameters(dw, db, dy, nil, x))
					must(t, g.BackwardInput(dx, dy, nil, w))
				}
				run()
				run() // finds the scratch memory used
				xf, dyf := channelsFirst(x, f.Batch, f.Channels, f.Height, f.Width), channelsFirst(dy, f.Batch,
					f.Filters, oh, ow)
				wf := channelsFirst(w, f.Filters, channels, f.KernelHeight, f.KernelWidth)
				wantX, wantW, wantB := reference.Conv2DBackward(c, dyf, xf, wf)
				positions := f.Batch * oh * ow
				near(t, "y", y, channelsLast(reference.Conv2DForward(c, xf, wf, b), f.Batch, f.Filters, oh, ow),
					area*channels)
				near(t, "dx", dx, channelsLast(wantX, f.Batch, f.Channels, f.Height, f.Width),
					area*f.Filters/f.Groups)
				near(t, "dw", dw, channelsLast(wantW, f.Filters, channels, f.KernelHeight, f.KernelWidth),
					positions)
				near(t, "db", db, wantB, positions)
			})
		}
	})
}

// TestGroupedConv2DStaysInFloat32: neither groups nor dilated kernels are multiplied in bfloat16.
func TestGroupedConv2DStaysInFloat32(t *testing.T) {
	engine := tilesEngine(t, 1)
	for _, f := range []GroupedConv2DConfig{
		{Groups: 2, DilationHeight: 1, DilationWidth: 1}, {Groups: 1, DilationHeight: 2, DilationWidth: 2},
	} {
		f.Conv2DConfig = Conv2DConfig{Batch: 2, Height: 8, Width: 8, Channels: 128, Filters: 128,
			KernelHeight: 3, KernelWidth: 3, StrideHeight: 1, StrideWidth: 1}
		g, err := NewGroupedConv2D(engine, f)
		must(t, err)
		if c := g.group; c.tiled != nil || c.tiledInput != nil || c.tiledWeights != nil ||
			engine.BF16.Plans() > 0 {
			t.Errorf("%+v is in tiles", f)
		}
	}
	plain := inTiles(t, engine, Conv2DConfig{Batch: 2, Height: 8, Width: 8, Channels: 128, Filters: 128,
		KernelHeight: 3, KernelWidth: 3, StrideHeight: 1, StrideWidth: 1})
	if plain == nil || engine.BF16.Plans() != 1 {
		t.Errorf("%d plans are in tiles, want 1", engine.BF16.Plans())
	}
}

func TestGroupedConv2DRejects(t *testing.T) {
	engine := newEngine(t, "portable", 1)
	for name, change := range map[string]func(f *GroupedConv2DConfig){
		"no groups":        func(f *GroupedConv2DConfig) { f.Groups = 0 },
		"uneven groups":    func(f *GroupedConv2DConfig) { f.Groups = 3 },
		"ReLU":             func(f *GroupedConv2DConfig) { f.ReLU = true },
		"no dilation":      func(f *GroupedConv2DConfig) { f.DilationHeight = 0 },
		"negative padding": func(f *GroupedConv2DConfig) { f.ExtraWidth = -1 },
	} {
		f := grouped[0]
		change(&f)
		if _, err := NewGroupedConv2D(engine, f); err == nil {
			t.Errorf("%s is no error", name)
		}
	}
}
