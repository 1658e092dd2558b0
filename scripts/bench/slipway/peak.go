package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"slipway/internal/kernel"
)

// peakSettling is for how long each of the two is measured.
const peakSettling = 600 * time.Millisecond

// peak measures what the threads can do at most with the kernels in use: the products of a dense
// layer that lies in the second-level caches, in GFLOP/s, a multiplication and an addition being
// two; and copies of memory that is in no cache, in GB/s, a byte read and written being two.
func peak(threads int, out io.Writer) error {
	engine, err := kernel.NewEngine(os.Getenv("SLIPWAY_KERNEL"), threads)
	if err != nil {
		return err
	}
	defer engine.Pool.Close()
	products, err := productsPerSecond(engine)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(struct {
		Kernels string  `json:"kernels"`
		GFLOPs  float64 `json:"gflops"`
		GBytes  float64 `json:"gbytes"`
	}{engine.Set.Name(), products / 1e9, copiedPerSecond(engine.Pool) / 1e9})
}

// productsPerSecond returns the most floating-point operations a second of several runs.
func productsPerSecond(engine kernel.Engine) (float64, error) {
	// 256 kB of weights, and of images a share for each thread, which is in its cache.
	const in, out, share = 256, 256, 192
	batch := share * engine.Pool.Threads()
	dense, err := kernel.NewDense(engine, kernel.DenseConfig{Batch: batch, In: in, Out: out})
	if err != nil {
		return 0, fmt.Errorf("the product that is timed: %w", err)
	}
	x, w, b, y := ones(batch*in), ones(in*out), ones(out), ones(batch*out)
	least := shortest(func() {
		err = dense.Forward(y, x, w, b)
	})
	return 2 * float64(batch*in*out) / least.Seconds(), err
}

// copiedPerSecond returns the most bytes a second, read or written, of several copies.
func copiedPerSecond(pool *kernel.Pool) float64 {
	const elements = 64 << 20 / 4 // of each thread, a source and a destination
	threads := pool.Threads()
	from, to := ones(threads*elements), ones(threads*elements)
	least := shortest(func() {
		pool.Run(threads, func(_, item int) {
			copy(to[item*elements:(item+1)*elements], from[item*elements:(item+1)*elements])
		})
	})
	return 2 * 4 * float64(len(from)) / least.Seconds()
}

// shortest returns the shortest time of a call that is made again and again.
func shortest(call func()) time.Duration {
	least := time.Duration(1<<63 - 1)
	for end := time.Now().Add(peakSettling); time.Now().Before(end); {
		began := time.Now()
		call()
		least = min(least, time.Since(began))
	}
	return least
}

// ones returns n numbers that are no zeros, which a product could leave out.
func ones(n int) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = 1
	}
	return values
}
