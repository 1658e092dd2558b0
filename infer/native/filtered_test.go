package native

import (
	"errors"
	"math"
	"slices"
	"testing"

	"slipway/internal/graphmaker"
	"slipway/internal/networktest"
)

// TestFilteredConvolutionsStayNear: Winograd's filtering moves the scores of a deep network by
// float32's rounding, as another order of the same sums does, and those of an image have the same
// bits in any batch, by any number of threads.
func TestFilteredConvolutionsStayNear(t *testing.T) {
	model := networktest.Model(t, networktest.ResNet20(t, 16))
	x := pixels(5, 3, 32, 32)
	var scores [2][]float32
	for i, direct := range []bool{true, false} {
		e, err := New(t.Context(), model, Options{Threads: 2, Direct: direct})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		scores[i] = answer(t, e, x)
	}
	if slices.Equal(scores[0], scores[1]) {
		t.Error("no convolution is filtered")
	}
	largest := 0.0
	for i, v := range scores[0] {
		largest = max(largest, math.Abs(float64(v-scores[1][i])))
	}
	scale := float64(slices.Max(scores[0]) - slices.Min(scores[0]))
	if t.Logf("%.1e of the scores' range", largest/scale); largest > 2e-6*scale {
		t.Errorf("scores differ by %g, their range is %g", largest, scale)
	}
	for _, threads := range []int{1, 3} {
		e, err := New(t.Context(), model, Options{Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		for image := range 5 {
			one := &Tensor{Shape: []int{1, 3, 32, 32},
				Data: x.Data.([]float32)[image*3*32*32 : (image+1)*3*32*32]}
			if !slices.Equal(answer(t, e, one), scores[1][10*image:10*image+10]) {
				t.Errorf("%d threads: image %d has other bits alone", threads, image)
			}
		}
	}
}

// TestFilteredConvolutionsWithinMemory: where transformed weights do not fit the limit, that is an
// error, and no other way of computing is taken, which would have other bits.
func TestFilteredConvolutionsWithinMemory(t *testing.T) {
	model := graphmaker.New(graphmaker.Free, 64, 14, 14).Weight("w", -1, 1, 64, 64, 3, 3).
		Node("y = Conv x w", graphmaker.Ints("pads", 1, 1, 1, 1)).Model()
	e := opened(t, model)
	x := pixels(2, 64, 14, 14)
	want, held, refused := answer(t, e, x), e.Held(), 0
	const steps = 32
	for i := range steps {
		limit := 2 * held * (i + 1) / steps
		limited, err := New(t.Context(), model, Options{Threads: 2, MemoryLimit: limit})
		if err != nil {
			t.Fatal(err)
		}
		out, err := limited.Run(t.Context(), map[string]*Tensor{"x": x})
		switch {
		case errors.Is(err, ErrMemory):
			refused++
		case err != nil:
			t.Error(err)
		case !slices.Equal(out[0].Data.([]float32), want):
			t.Errorf("other bits with a limit of %d bytes", limit)
		}
		limited.Close()
	}
	if refused == 0 || refused == steps {
		t.Errorf("%d of %d limits are too low", refused, steps)
	}
}

// TestBoundedConvolutionsAreSummed: a convolution that is bounded from above is summed as it is
// written, with its pooling, and nothing is held for filtering it.
func TestBoundedConvolutionsAreSummed(t *testing.T) {
	model := graphmaker.New(graphmaker.Free, 64, 60, 60).Weight("w", -1, 1, 64, 64, 3, 3).
		Weight("low.", 0, 0).Weight("high.", 6, 6).
		Node("c = Conv x w", graphmaker.Ints("pads", 1, 1, 1, 1)).Node("b = Clip c low. high.").
		Node("y = MaxPool b", graphmaker.Ints("kernel_shape", 3, 3), graphmaker.Ints("strides", 2, 2)).
		Model()
	x := pixels(2, 64, 60, 60)
	var scores [2][]float32
	var held [2]int
	for i, direct := range []bool{true, false} {
		e, err := New(t.Context(), model, Options{Threads: 2, Direct: direct})
		if err != nil {
			t.Fatal(err)
		}
		scores[i], held[i] = answer(t, e, x), e.Held()
		e.Close()
	}
	if !slices.Equal(scores[0], scores[1]) {
		t.Error("not the direct sum")
	}
	if held[0] != held[1] {
		t.Errorf("%d bytes are held, by the direct sum %d", held[1], held[0])
	}
}
