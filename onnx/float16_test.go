package onnx

import (
	"math"
	"math/rand/v2"
	"testing"

	"slipway/onnx/onnxpb"
)

// allFloat16 returns the finite numbers, in ascending order.
func allFloat16() []float64 {
	var all []float64
	for bits := 0x7bff; bits >= 1; bits-- {
		all = append(all, float64(Float16(0x8000|bits).Float32()))
	}
	for bits := range 0x7c00 {
		all = append(all, float64(Float16(bits).Float32()))
	}
	return all
}

// TestFloat16IsTheStandardsFormat holds every number against the format's
// definition: (−1)^s·2^(e−15)·(1+f/1024), or 2^−14·f/1024 for e = 0.
func TestFloat16IsTheStandardsFormat(t *testing.T) {
	for bits := range 1 << 16 {
		h := Float16(bits)
		sign, exponent, fraction := math.Pow(-1, float64(bits>>15)), bits>>10&31, float64(bits&1023)/1024
		got := float64(h.Float32())
		switch {
		case exponent == 31 && fraction != 0:
			if !math.IsNaN(got) || !math.IsNaN(float64(NewFloat16(h.Float32()).Float32())) {
				t.Fatalf("%#04x is %v and comes back as %v, not NaN", bits, got, NewFloat16(h.Float32()).
					Float32())
			}
			continue
		case exponent == 31:
			if !math.IsInf(got, int(sign)) {
				t.Fatalf("%#04x is %v, not infinite", bits, got)
			}
		default:
			want := sign * math.Ldexp(1+fraction, exponent-15)
			if exponent == 0 {
				want = sign * math.Ldexp(fraction, -14)
			}
			if got != want {
				t.Fatalf("%#04x is %v, want %v", bits, got, want)
			}
		}
		if back := NewFloat16(h.Float32()); back != h {
			t.Fatalf("%#04x comes back as %#04x", bits, back)
		}
	}
}

// TestNewFloat16RoundsToTheNearestEven tries the halfway points of all neighbours,
// one step of float32 to each side of them, and numbers between.
func TestNewFloat16RoundsToTheNearestEven(t *testing.T) {
	all := allFloat16()
	check := func(x float32, want float64) {
		t.Helper()
		if got := float64(NewFloat16(x).Float32()); got != want {
			t.Fatalf("%v (%#08x) rounds to %v, want %v", x, math.Float32bits(x), got, want)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range len(all) - 1 {
		low, high := all[i], all[i+1]
		middle := float32((low + high) / 2)
		even := low
		if NewFloat16(float32(low))&1 == 1 {
			even = high
		}
		check(middle, even)
		check(math.Nextafter32(middle, float32(math.Inf(-1))), low)
		check(math.Nextafter32(middle, float32(math.Inf(1))), high)
		x := float32(low + (high-low)*random.Float64())
		nearest := low
		if high-float64(x) < float64(x)-low {
			nearest = high
		}
		if float64(x) != float64(middle) {
			check(x, nearest)
		}
	}
	check(MaxFloat16, MaxFloat16)
	check(math.Nextafter32(65520, 0), MaxFloat16)
	check(65520, math.Inf(1))
	check(-65520, math.Inf(-1))
	check(math.MaxFloat32, math.Inf(1))
	check(float32(math.Inf(-1)), math.Inf(-1))
	check(math.SmallestNonzeroFloat32, 0)
	if NewFloat16(float32(math.Copysign(0, -1))) != 0x8000 {
		t.Error("-0 loses its sign")
	}
}

func TestToFloat16KeepsWhatItMust(t *testing.T) {
	m := readModel(t, "testdata/quantized/float.onnx")
	// A weight that float16 does not have.
	large, _ := m.Initializer("fc1.weight")
	values, err := Floats(large)
	if err != nil {
		t.Fatal(err)
	}
	values[3] = 70000
	large.RawData = rawFloats(values...)
	half, err := ToFloat16(m)
	if err != nil {
		t.Fatal(err)
	}
	types := make(map[string]onnxpb.TensorProto_DataType)
	for _, tensor := range half.Proto.GetGraph().GetInitializer() {
		types[tensor.GetName()] = onnxpb.TensorProto_DataType(tensor.GetDataType())
	}
	for name, want := range map[string]onnxpb.TensorProto_DataType{
		"conv1.weight.float16": onnxpb.TensorProto_FLOAT16,
		"conv2.weight.float16": onnxpb.TensorProto_FLOAT16,
		"fc2.weight.float16":   onnxpb.TensorProto_FLOAT16,
		"fc1.weight":           onnxpb.TensorProto_FLOAT, "conv1.bias": onnxpb.TensorProto_FLOAT,
	} {
		if types[name] != want {
			t.Errorf("%s is of %v, want %v", name, types[name], want)
		}
	}
	if node := half.Proto.GetGraph().GetNode()[0]; node.GetOpType() != "Cast" ||
		node.GetOutput()[0] != "conv1.weight" {
		t.Errorf("the first node is %v", node)
	}
	if tensor, _ := m.Initializer("conv1.weight"); tensor == nil {
		t.Error("the model itself was changed")
	}
	if _, err := ToFloat16(half); err == nil {
		t.Error("a model without float32 weights that fit is halved again")
	}
}

func readModel(t *testing.T, path string) *Model {
	t.Helper()
	m, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	return m
}
