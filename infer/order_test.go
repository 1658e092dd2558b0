package infer

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// The clearest change of a label and the largest difference come first, the first of two alike
// before the other.
func TestWhatDiffersMostComesFirst(t *testing.T) {
	nan := float32(math.NaN())
	a := Logits{6, 2, []float32{1, 0, 5, 0, 1, 0, 3, 0, 2, 0, 0, 0}}
	b := Logits{6, 2, []float32{0, 1, 0, 5, 1, 0, 0, 1, nan, 0, 0, 0.5}}
	changes, err := ChangedLabels(a, b)
	var images []int
	for _, change := range changes {
		images = append(images, change.Image)
	}
	if want := []int{4, 1, 3, 0, 5}; err != nil || !slices.Equal(images, want) {
		t.Errorf("changed labels of %v, %v, want %v", images, err, want)
	}
	worst, err := WorstImages(a, b, 4)
	if want := []int{4, 1, 3, 0}; err != nil || !slices.Equal(worst, want) {
		t.Errorf("the worst are %v, %v, want %v", worst, err, want)
	}
	if _, err := WorstImages(a, Logits{6, 2, nil}, 1); err == nil || !strings.Contains(err.Error(), "6×2 logits must have 12 values, not 12 and 0") {
		t.Errorf("%v", err)
	}
}

// Pixels that are bytes become bytes, and no others.
func TestPixelsAsBytes(t *testing.T) {
	if got, err := toBytes([]float32{0, 1, 255}); err != nil || !slices.Equal(got, []byte{0, 1, 255}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, v := range []float32{-1, 0.5, 256, float32(math.NaN())} {
		if got, err := toBytes([]float32{v}); err == nil {
			t.Errorf("%v becomes %v", v, got)
		}
	}
}

// The cause of an end is told where there is one.
func TestTheCauseOfAnEnd(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the disk is full"))
	if err := ended(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "the disk is full") {
		t.Error(err)
	}
	plain, stop := context.WithCancel(t.Context())
	stop()
	if err := ended(plain); err != context.Canceled {
		t.Error(err)
	}
}

// A table names files where there is one for each image, and nothing as the prediction of an
// image without an answer.
func TestPredictionsOfFiles(t *testing.T) {
	result := Result{Labels: []int{0, 1, 0}, Predictions: []int{0, -1, 1}}
	for want, files := range map[string][]string{
		"image,file,label,prediction,correct\n0,a,0,0,true\n1,b,1,,false\n2,c,0,1,false\n": {"a", "b", "c"},
		"image,label,prediction,correct\n0,0,0,true\n1,1,,false\n2,0,1,false\n":            nil,
	} {
		result.Files = files
		var table strings.Builder
		if err := WritePredictions(&table, &result); err != nil || table.String() != want {
			t.Errorf("%v\n%swant\n%s", err, table.String(), want)
		}
	}
	var table strings.Builder
	if err := WritePredictions(&table, &Result{}); err != nil || table.String() != "image,label,prediction,correct\n" {
		t.Errorf("of no image: %q, %v", table.String(), err)
	}
}

// A few images are padded to a fixed batch of a gigabyte, and to no larger one.
func TestTheLargestFixedBatch(t *testing.T) {
	batch := Batch{N: 1, C: 1, H: 1 << 10, W: 1 << 10}
	for size, want := range map[int]bool{unknown: true, 1: true, 1 << 8: true, 1<<8 + 1: false} {
		if err := batch.checkFixed(size); (err == nil) != want {
			t.Errorf("a batch of %d: %v", size, err)
		}
	}
	batch.N = 1<<8 + 1 // as many as it takes
	if err := batch.checkFixed(batch.N); err != nil {
		t.Error(err)
	}
}

// A batch is padded by black images of its own shape.
func TestPaddedBatch(t *testing.T) {
	batch := Batch{N: 1, C: 2, H: 1, W: 3, Pixels: []float32{1, 2, 3, 4, 5, 6}}
	got := batch.padded(3)
	if want := append(slices.Clone(batch.Pixels), make([]float32, 12)...); got.N != 3 || !slices.Equal(got.Pixels, want) {
		t.Errorf("%d images, %v", got.N, got.Pixels)
	}
}
