package port

import (
	"context"
	"fmt"
	"math"
)

// Check says whether the pixels are N×C×H×W with all of them positive.
func (b Batch) Check() error {
	if b.N < 1 || b.C < 1 || b.H < 1 || b.W < 1 || len(b.Pixels) != b.N*b.C*b.H*b.W {
		return fmt.Errorf("a batch of %d×%d×%d×%d (N×C×H×W) cannot have %d pixels", b.N, b.C, b.H, b.W,
			len(b.Pixels))
	}
	return nil
}

// maxFixedPixels bounds what a graph's fixed batch size makes of a batch, 1 GiB.
const maxFixedPixels = 1 << 28

// CheckFixed refuses a fixed batch size that few images cannot be padded to.
func (b Batch) CheckFixed(size int) error {
	if size > b.N && size > maxFixedPixels/(b.C*b.H*b.W) {
		return fmt.Errorf(
			"the model takes batches of %d images and nothing else; batches of more than %d pixels are not taken: export it with an open batch dimension",
			size, maxFixedPixels)
	}
	return nil
}

// Slice returns the images from begin up to end, not a copy.
func (b Batch) Slice(begin, end int) Batch {
	size := b.C * b.H * b.W
	b.N, b.Pixels = end-begin, b.Pixels[begin*size:end*size]
	return b
}

// Padded returns the batch followed by black images, n in all.
func (b Batch) Padded(n int) Batch {
	pixels := make([]float32, n*b.C*b.H*b.W)
	copy(pixels, b.Pixels)
	b.N, b.Pixels = n, pixels
	return b
}

// RunInChunks runs a batch through a graph of the fixed batch size, Unknown for
// none: in pieces, the last one padded and its answer cut.
func RunInChunks(ctx context.Context, batch Batch, size int, run func(Batch) (Logits, error)) (
	Logits, error) {
	if err := batch.CheckFixed(size); err != nil {
		return Logits{}, err
	}
	if size == Unknown || size == batch.N {
		if err := ctx.Err(); err != nil {
			return Logits{}, Ended(ctx)
		}
		return run(batch)
	}
	var all Logits
	for begin := 0; begin < batch.N; begin += size {
		if err := ctx.Err(); err != nil {
			return Logits{}, Ended(ctx)
		}
		chunk := batch.Slice(begin, min(begin+size, batch.N))
		n := chunk.N
		if n < size {
			chunk = chunk.Padded(size)
		}
		logits, err := run(chunk)
		if err != nil {
			return Logits{}, err
		}
		logits.N, logits.Values = n, logits.Values[:n*logits.K]
		all.Append(logits)
	}
	return all, nil
}

// Ended is the error of a context that has ended, with the cause where one was given.
func Ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == err {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// toBytes converts pixels for an input of bytes.
func toBytes(bytes []uint8, pixels []float32) error {
	for i, v := range pixels {
		if v < 0 || v > math.MaxUint8 || v != float32(uint8(v)) {
			return fmt.Errorf("takes uint8, the pixels 0…255 unscaled, but one is %g", v)
		}
		bytes[i] = uint8(v)
	}
	return nil
}
