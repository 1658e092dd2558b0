//go:build gpu && linux && amd64

package cuda

import (
	"math"
	"strings"
	"testing"
)

// What rounds on the host, in the simulator and in kernels is one thing.
func TestRoundingToBF16(t *testing.T) {
	needSimulator(t)
	g := openDevice(t)
	simulated.BF16(true)
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	const bit = 1.0 / (1 << 7) // the last of bf16 behind 1
	values := []float32{0, 1, 1 + bit/2, 1 + 3*bit/2, 1 + bit/2 + bit/512, -1 - 3*bit/2, 2 - bit/4,
		inf, -inf, math.MaxFloat32, 1e-45, 1e-40, nan, math.Float32frombits(0x7f800001),
		math.Float32frombits(0xff800001), 3.3895314e38, 3.39e38}
	want := []float32{0, 1, 1, 1 + 2*bit, 1 + bit, -1 - 2*bit, 2,
		inf, -inf, inf, 0, math.Float32frombits(0x00010000), nan, nan, nan, 3.3895314e38, 0}
	want[len(want)-1] = 3.3895314e38
	var kernels, product []bfloat16
	if err := g.thread.do(func() error {
		if err := g.loadHalfKernels(); err != nil {
			return err
		}
		memory, n := pool{gpu: g}, len(values)
		x, err := memory.allocateFloats("values", n)
		if err != nil {
			return err
		}
		y, err := memory.allocate("bfloat16", 2*int64(n))
		if err != nil {
			return err
		}
		one, err := memory.allocate("1", 2)
		if err != nil {
			return err
		}
		z, err := memory.allocate("a product", 2*int64(n))
		if err != nil {
			return err
		}
		l, err := g.kernel("narrow"+bf16Suffix, n, 1, x, y, n)
		if err != nil {
			return err
		}
		kernels, product = make([]bfloat16, n), make([]bfloat16, n)
		if err := upload(g, x, values); err != nil {
			return err
		}
		if err := upload(g, one, narrowed([]float32{1})); err != nil {
			return err
		}
		if err := runAll(g, []launch{l}); err != nil {
			return err
		}
		if err := halfProduct(g.blas, false, plain, plain, 1, n, 1, one, 1, y, 1, z, 1); err != nil {
			return err
		}
		if err := download(g, kernels, y); err != nil {
			return err
		}
		if err := download(g, product, z); err != nil {
			return err
		}
		return memory.free()
	}); err != nil {
		t.Fatal(err)
	}
	for i, value := range values {
		host := toBFloat16(value)
		if got := host.float32(); got != want[i] && !(got != got && want[i] != want[i]) {
			t.Errorf("%v is rounded to %v, want %v", value, got, want[i])
		}
		nans := host.float32() != host.float32() && product[i].float32() != product[i].float32()
		if kernels[i] != host || product[i] != host && !nans {
			t.Errorf("%v is %#x on the host, %#x in a kernel, times 1 %#x", value, host, kernels[i],
				product[i])
		}
	}
}

// What is kept in float32 cannot be taken for bf16, nor bf16 be handed to a call of float32.
func TestTheSimulatorTellsBF16FromFloat32(t *testing.T) {
	needSimulator(t)
	g := openDevice(t)
	simulated.BF16(true)
	if err := g.thread.do(func() error {
		if err := g.loadHalfKernels(); err != nil {
			return err
		}
		memory := pool{gpu: g}
		b, err := memory.allocateFloats("values", 4)
		if err != nil {
			return err
		}
		out, err := memory.allocateFloats("more", 4)
		if err != nil {
			return err
		}
		l, err := g.kernel("narrow"+bf16Suffix, 4, 1, b, out, 4)
		if err != nil {
			return err
		}
		if err := upload(g, b, make([]float32, 4)); err != nil {
			return err
		}
		if err := runAll(g, []launch{l}); err != nil {
			return err
		}
		failed := product(g.blas, float32s, plain, plain, 1, 1, 1, out, 1, out, 1, b, 1)
		if failed == nil {
			t.Error("a product in float32 of bfloat16 is computed")
		}
		return memory.free()
	}); err != nil && !strings.Contains(err.Error(), "cublasSgemm") {
		t.Fatal(err)
	}
	if seen := simulated.Violations(); !strings.Contains(seen,
		"cublasSgemm: A: is taken for float32, and its memory has bfloat16") {
		t.Errorf("the simulator saw: %s", seen)
	}
	simulated.Reset()
}
