package port

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"slipway/onnx/onnxpb"
)

// Pixels that are bytes become bytes, and no others.
func TestPixelsAsBytes(t *testing.T) {
	feed := func(pixels []float32) (any, error) {
		batch := Batch{N: 1, C: 1, H: 1, W: len(pixels), Pixels: pixels}
		return new(Feeder).Feed(Ports{InputType: onnxpb.TensorProto_UINT8}, ChannelsFirst, batch)
	}
	if got, err := feed([]float32{0, 1, 255}); err != nil ||
		!slices.Equal(got.([]byte), []byte{0, 1, 255}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, v := range []float32{-1, 0.5, 256, float32(math.NaN())} {
		if got, err := feed([]float32{v}); err == nil {
			t.Errorf("%v becomes %v", v, got)
		}
	}
}

// The cause of an end is told where there is one.
func TestTheCauseOfAnEnd(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the disk is full"))
	if err := Ended(ctx); !errors.Is(err, context.Canceled) ||
		!strings.Contains(err.Error(), "the disk is full") {
		t.Error(err)
	}
	plain, stop := context.WithCancel(t.Context())
	stop()
	if err := Ended(plain); err != context.Canceled {
		t.Error(err)
	}
}

// A few images are padded to a fixed batch of a gigabyte, and to no larger one.
func TestTheLargestFixedBatch(t *testing.T) {
	batch := Batch{N: 1, C: 1, H: 1 << 10, W: 1 << 10}
	for size, want := range map[int]bool{Unknown: true, 1: true, 1 << 8: true, 1<<8 + 1: false} {
		if err := batch.CheckFixed(size); (err == nil) != want {
			t.Errorf("a batch of %d: %v", size, err)
		}
	}
	batch.N = 1<<8 + 1 // as many as it takes
	if err := batch.CheckFixed(batch.N); err != nil {
		t.Error(err)
	}
}

// A batch is padded by black images of its own shape.
func TestPaddedBatch(t *testing.T) {
	batch := Batch{N: 1, C: 2, H: 1, W: 3, Pixels: []float32{1, 2, 3, 4, 5, 6}}
	got := batch.Padded(3)
	if want := append(slices.Clone(batch.Pixels), make([]float32, 12)...); got.N != 3 ||
		!slices.Equal(got.Pixels, want) {
		t.Errorf("%d images, %v", got.N, got.Pixels)
	}
}
