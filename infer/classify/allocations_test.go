package classify_test

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"testing"

	"slipway/infer/classify"
)

// In steady state an image costs the results' memory and nothing else: one allocation. A batch
// costs one more for the list of them.
func TestAllocationsOfAnImage(t *testing.T) {
	e1, err := classify.Open("../../graphs/e1.onnx")
	if err != nil {
		t.Fatal(err)
	}
	defer e1.Close()
	colour := opened(t, colourModel(t))
	grey := image.NewGray(image.Rect(0, 0, 28, 28))
	photograph := image.NewYCbCr(image.Rect(0, 0, 60, 40), image.YCbCrSubsampleRatio420)
	indexed := image.NewPaletted(image.Rect(0, 0, 30, 20),
		color.Palette{color.White, color.Black, color.NRGBA{9, 9, 9, 99}})
	for _, pix := range [][]uint8{grey.Pix, photograph.Y, photograph.Cb, photograph.Cr} {
		for i := range pix {
			pix[i] = uint8(rand.IntN(256))
		}
	}
	var encoded bytes.Buffer
	if err := png.Encode(&encoded, noise(50, 40, 1)); err != nil {
		t.Fatal(err)
	}
	decoded, err := colour.Decode(&encoded)
	if err != nil {
		t.Fatal(err)
	}
	transparent := noise(16, 16, 3)
	transparent.Pix[3] = 77
	for name, test := range map[string]struct {
		c *classify.Classifier
		m image.Image
	}{
		"a digit of E1's size":     {e1, grey},
		"of the model's size":      {colour, noise(16, 16, 2)},
		"transparent":              {colour, transparent},
		"resized":                  {colour, noise(50, 40, 2)},
		"of package image/jpeg":    {colour, photograph},
		"with a palette, resized":  {colour, indexed},
		"decoded by it, resized":   {colour, decoded},
		"grey for a colour model":  {colour, grey},
		"in colour for E1":         {e1, noise(28, 28, 1)},
		"premultiplied, 16 bits":   {colour, image.NewRGBA64(image.Rect(0, 0, 20, 20))},
		"black ink and its colour": {colour, image.NewCMYK(image.Rect(0, 0, 20, 20))},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			if got := allocations(t,
				func() error { _, err := test.c.Classify(ctx, test.m); return err }); got != 1 {
				t.Errorf("%v allocations an image", got)
			}
			batch := make([]image.Image, 24)
			for i := range batch {
				batch[i] = test.m
			}
			if got := allocations(t,
				func() error { _, err := test.c.ClassifyBatch(ctx, batch); return err }); got != 25 {
				t.Errorf("%v allocations a batch of 24", got)
			}
		})
	}
}

// allocations are those of a call when it is made again and again.
func allocations(t *testing.T, call func() error) float64 {
	t.Helper()
	run := func() {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 { // memory finds its places
		run()
	}
	return testing.AllocsPerRun(20, run)
}
