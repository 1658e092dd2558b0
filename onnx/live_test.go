package onnx_test

import (
	"testing"

	"slipway/internal/graphmaker"
	"slipway/internal/networktest"
	"slipway/onnx"
)

// TestLiveBytes counts by hand what is needed at a time.
func TestLiveBytes(t *testing.T) {
	// x is needed until the sum: at b, x and a and b are there; c takes the sum's place.
	g := graphmaker.New(graphmaker.Free, 2, 4, 4).Node("a = Relu x").Node("b = Neg a").
		Node("c = Add b x").Node("d = Abs c")
	if bytes, known := onnx.Inspect(g.Model()).LiveBytes(); bytes != 3*2*4*4*4 {
		t.Errorf("%d bytes (known: %v), want three maps, %d", bytes, known, 3*2*4*4*4)
	}
	chain := graphmaker.New(graphmaker.Free, 2, 4, 4).Node("a = Relu x").Node("b = Neg a").
		Node("c = Neg b")
	if bytes, known := onnx.Inspect(chain.Model()).LiveBytes(); bytes != 2*2*4*4*4 {
		t.Errorf("a chain needs %d bytes (known: %v), want two maps", bytes, known)
	}
	// An input that nothing takes is there at the first node alone.
	unused := graphmaker.New(graphmaker.Free, 2, 4, 4).Weight("w", -1, 1, 1, 2, 4, 4).
		Node("a = Relu w").Node("b = Neg a").Node("c = Neg b")
	if bytes, known := onnx.Inspect(unused.Model()).LiveBytes(); bytes != 2*2*4*4*4 {
		t.Errorf("beside an input that is not used, %d bytes (known: %v), want two maps", bytes, known)
	}
	// A residual block: what goes round it, the first convolution's map, and the second's.
	if bytes, known := onnx.Inspect(networktest.Model(t, networktest.ResNet20(t, 16))).
		LiveBytes(); bytes != 3*16*32*32*4 || !known {
		t.Errorf("ResNet-20 needs %d bytes an image (known: %v), want three maps, %d", bytes, known,
			3*16*32*32*4)
	}
	if _, known := onnx.Inspect(graphmaker.New(graphmaker.Free, 2, 4, 4).Node("a = com.example.Foo x").
		Model()).LiveBytes(); known {
		t.Error("the shape of an unknown operator's output is taken for known")
	}
}
