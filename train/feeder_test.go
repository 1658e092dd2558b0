package train

import (
	"errors"
	"slices"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/datasettest"
)

// The threads write what Fill writes, whole items and the rest of one, and say which index is
// wrong.
func TestFeederWritesWhatFillWrites(t *testing.T) {
	set := datasettest.Digits(t, 100)
	for _, threads := range []int{1, 2, 3} {
		engine, err := builder.NewEngine(builder.EngineNative, threads)
		if err != nil {
			t.Fatal(err)
		}
		defer engine.Close()
		f := newFeeder(engine, dataset.UnitPixels())
		for _, n := range []int{1, feedImages, feedImages + 1, 3 * feedImages, 77} {
			indices := make([]int, n)
			for i := range indices {
				indices[i] = (i * 37) % set.Len()
			}
			want, wantLabels := make([]float32, n*set.ImageSize()), make([]int32, n)
			if err := set.Fill(want, wantLabels, indices, dataset.UnitPixels()); err != nil {
				t.Fatal(err)
			}
			got, gotLabels := make([]float32, n*set.ImageSize()), make([]int32, n)
			if err := f.fill(t.Context(), got, gotLabels, feed{set, set.Info(), indices, 0}); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) || !slices.Equal(gotLabels, wantLabels) {
				t.Errorf("%d threads, %d images: not what Fill writes", threads, n)
			}
		}
		indices := make([]int, 3*feedImages)
		indices[feedImages] = set.Len()
		if err := f.fill(t.Context(), make([]float32, len(indices)*set.ImageSize()),
			make([]int32, len(indices)), feed{set, set.Info(), indices, 0}); !errors.Is(err,
			dataset.ErrIndex) {
			t.Errorf("%d threads: an index past the end gives %v", threads, err)
		}
		indices[feedImages] = 0
		if err := f.fill(t.Context(), make([]float32, len(indices)*set.ImageSize()),
			make([]int32, len(indices)), feed{set, set.Info(), indices, 0}); err != nil {
			t.Errorf("%d threads: after an error: %v", threads, err)
		}
	}
}
