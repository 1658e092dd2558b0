package native

import (
	"slices"
	"testing"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/internal/networktest"
)

// TestPartsAnswerAsTheBatch: networks whose images go through them a few at a time answer with the
// bits of the whole batch.
func TestPartsAnswerAsTheBatch(t *testing.T) {
	for _, name := range []string{"resnet18", "mobilenet_v2", "mobilenet_v3_small", "squeezenet1_1"} {
		t.Run(name, func(t *testing.T) {
			network, err := zoo.New(name, builder.Shape{3, 64, 64}, 10)
			if err != nil {
				t.Fatal(err)
			}
			e := opened(t, networktest.Model(t, network))
			if !e.program.apart {
				t.Fatal("its images are not known to be computed by themselves")
			}
			x := pixels(7, 3, 64, 64)
			given := []*Tensor{x}
			r, err := e.newRun(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.planOf(r, given); err != nil {
				t.Fatal(err)
			}
			seen, _, _ := e.parts(given)
			got, err := e.executeParts(r, given, nil, seen, 7, 2)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.arena.follow(nil); err != nil {
				t.Fatal(err)
			}
			want, err := e.program.execute(r, given, nil, span{})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got[0].Shape, want[0].Shape) || !slices.Equal(got[0].Data.([]float32),
				want[0].Data.([]float32)) {
				t.Errorf("%v in parts, %v in whole", got[0], want[0])
			}
		})
	}
}

func TestPartsWhereMapsAreTheLargerPart(t *testing.T) {
	for _, test := range []struct{ images, elements, constants, want int }{
		{8, 5 << 20, 3 << 20, partImages}, {8, 5 << 20, 5 << 20, 8}, {smallBatch, 5 << 20, 1, smallBatch},
		{250, 1 << 15, 1, 32}, {20, 1 << 15, 1, 20},
	} {
		if got := partOf(test.images, test.elements, test.constants); got != test.want {
			t.Errorf("%+v: %d images at a time", test, got)
		}
	}
}

// TestRunIntoInParts: a batch that goes in parts is answered where the caller wants it, with
// nothing allocated, and with the bits that Run gives.
func TestRunIntoInParts(t *testing.T) {
	const images, classes = 7, 10 // the last part is a shorter one
	network, err := zoo.New("squeezenet1_1", builder.Shape{3, 224, 224}, classes)
	if err != nil {
		t.Fatal(err)
	}
	e := opened(t, networktest.Model(t, network))
	x := pixels(images, 3, 224, 224)
	own := make([]float32, images*classes)
	in, out := []*Tensor{x}, []*Tensor{{Data: own}}
	run := func() {
		if err := e.RunInto(t.Context(), in, out); err != nil {
			t.Fatal(err)
		}
	}
	run()
	if _, _, part := e.parts(in); part >= images {
		t.Fatalf("%d images go at a time: the test asks for fewer", part)
	}
	if data := out[0].Data.([]float32); &data[0] != &own[0] {
		t.Error("the caller's slice was replaced")
	}
	if want := []int{images, classes}; !slices.Equal(out[0].Shape, want) {
		t.Errorf("the shape is %v, want %v", out[0].Shape, want)
	}
	if want := answer(t, e, x); !slices.Equal(own, want) {
		t.Errorf("the caller's slice has %v, want %v", own, want)
	}
	if n := fewestAllocations(run); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
