package dataset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// encode writes numbers as an IDX file of the type.
func encode(t testing.TB, of ElementType, shape []int, values ...float64) []byte {
	t.Helper()
	var data []byte
	be := binary.BigEndian
	for _, value := range values {
		switch of {
		case Uint8:
			data = append(data, uint8(value))
		case Int8:
			data = append(data, uint8(int8(value)))
		case Int16:
			data = be.AppendUint16(data, uint16(int16(value)))
		case Int32:
			data = be.AppendUint32(data, uint32(int32(value)))
		case Float32:
			data = be.AppendUint32(data, math.Float32bits(float32(value)))
		case Float64:
			data = be.AppendUint64(data, math.Float64bits(value))
		}
	}
	return encodeIDX(t, &IDX{of, shape, data})
}

// openValues opens images of those values, with labels beside them.
func openValues(t *testing.T, of ElementType, shape []int, values ...float64) (*Set, error) {
	t.Helper()
	dir := t.TempDir()
	writeFiles(t, dir, map[string][]byte{
		"images": encode(t, of, shape, values...),
		"labels": encode(t, Uint8, shape[:1], make([]float64, shape[0])...),
	})
	return Open(t.Context(), filepath.Join(dir, "images"), Options{})
}

// Pixels of every type of the format are the bytes that they were.
func TestPixelsOfEachType(t *testing.T) {
	shares := func(bytes ...float64) []float64 {
		for i := range bytes {
			bytes[i] /= 255
		}
		return bytes
	}
	for _, test := range []struct {
		of     ElementType
		values []float64
		want   []uint8
	}{
		{Uint8, []float64{0, 1, 128, 255}, []uint8{0, 1, 128, 255}},
		{Int8, []float64{0, 1, 2, 127}, []uint8{0, 1, 2, 127}},
		{Int16, []float64{0, 1, 128, 255}, []uint8{0, 1, 128, 255}},
		{Int32, []float64{0, 1, 128, 255}, []uint8{0, 1, 128, 255}},
		{Float32, []float64{0, 1, 128, 255}, []uint8{0, 1, 128, 255}},
		{Float64, []float64{0, 2, 0, 0}, []uint8{0, 2, 0, 0}},
		{Float32, shares(0, 1, 128, 255), []uint8{0, 1, 128, 255}},
		{Float64, shares(0, 1, 254, 3), []uint8{0, 1, 254, 3}},
		{Float64, []float64{float64(float32(77) * float32(1.0/255)), 0, 1, 1}, []uint8{77, 0, 255, 255}},
		{Float32, []float64{0, 0, 0, math.Copysign(0, -1)}, []uint8{0, 0, 0, 0}},
	} {
		set, err := openValues(t, test.of, []int{1, 2, 2}, test.values...)
		if err != nil || !slices.Equal(set.Images, test.want) {
			t.Errorf("%v of %v: %v, %v", test.values, test.of, set, err)
		}
	}
}

// What is no pixel is named with its place, and nothing is clipped.
func TestNoPixels(t *testing.T) {
	for _, test := range []struct {
		of     ElementType
		values []float64
		says   string
	}{
		{Int8, []float64{0, 0, 0, -1}, "-1 of int8 at [0, 1, 1]"},
		{Int16, []float64{0, 256, -1, 0}, "256 of int16 at [0, 0, 1]; pixels are 0 to 255; scale"},
		{Int32, []float64{math.MinInt32, 0, 0, 0}, "-2147483648 of int32 at [0, 0, 0]"},
		{Float32, []float64{0, 0.1, 0, 0}, "0.1 of float32 at [0, 0, 1] is no multiple of 1/255"},
		{Float64, []float64{0.2, 1, 200, 0},
			"200 of float64 at [0, 1, 0] is above 1, and 0.2 at [0, 0, 0] is no whole number"},
		{Float32, []float64{0, 200, 0, 0.5},
			"200 of float32 at [0, 0, 1] is above 1, and 0.5 at [0, 1, 1]"},
		{Float32, []float64{0, 255, 256, 0}, "256 of float32 at [0, 1, 0]; pixels are 0 to 255"},
		{Float32, []float64{0.2, -0.5, 0, 0}, "-0.5 of float32 at [0, 0, 1]"},
		{Float64, []float64{0, 0, math.NaN(), 0}, "NaN of float64 at [0, 1, 0]"},
		{Float64, []float64{0, 0, 0, math.Inf(1)}, "+Inf of float64 at [0, 1, 1]"},
		{Float32, []float64{0, 1, 1, 0}, "all values are 0 or 1 of float32"},
		{Float64, []float64{0, 254.99999999, 0, 0}, "254.99999999"},
	} {
		set, err := openValues(t, test.of, []int{1, 2, 2}, test.values...)
		if !errors.Is(err, ErrPixel) || !strings.Contains(err.Error(), test.says) ||
			!strings.Contains(err.Error(), "images") {
			t.Errorf("%v of %v: %v, %v; want %q", test.values, test.of, set, err, test.says)
		}
	}
}

// Of four dimensions, the one of 1 or 3 is the channels.
func TestLayouts(t *testing.T) {
	for _, test := range []struct {
		shape []int
		want  string // channels×height×width, or what the error says
	}{
		{[]int{2, 4, 5}, "1×4×5"},
		{[]int{2, 1, 3}, "1×1×3"},
		{[]int{2, 3, 4, 5}, "3×4×5"},
		{[]int{2, 4, 5, 3}, "3×4×5 last"},
		{[]int{2, 1, 4, 5}, "1×4×5"},
		{[]int{2, 4, 5, 1}, "1×4×5 last"},
		{[]int{2, 3, 3, 4}, "3×3×4"},
		{[]int{2, 2, 4, 5}, "2×4×5"},
		{[]int{2, 4, 32, 32}, "4×32×32"},
		{[]int{2, 1, 1, 1}, "1×1×1"},
		{[]int{2, 3, 3, 3}, "N×C×H×W with 3 channels or N×H×W×C with 3"},
		{[]int{2, 1, 28, 1}, "N×C×H×W with 1 channels or N×H×W×C with 1"},
		{[]int{2, 3, 32, 3}, "store grey images as N×H×W"},
		{[]int{2, 32, 32, 4}, "neither second"},
		{[]int{2, 28, 28, 28}, "volumes"},
		{[]int{2, 28}, "[2 28]"},
		{[]int{2, 3, 4, 5, 6}, "give the images file"},
		{nil, "[]"},
	} {
		got, err := layoutOf(test.shape)
		text := fmt.Sprintf("%d×%d×%d", got.channels, got.height, got.width)
		if got.last {
			text += " last"
		}
		if err != nil {
			text = err.Error()
			if !errors.Is(err, ErrLayout) && !errors.Is(err, ErrRank) {
				t.Errorf("%v: %v", test.shape, err)
			}
		}
		if !strings.Contains(text, test.want) {
			t.Errorf("%v is %s, want %s", test.shape, text, test.want)
		}
	}
}

// Channels that lie side by side come to lie one after the other.
func TestChannelsLast(t *testing.T) {
	values := make([]float64, 2*2*4*3) // N×H×W×C
	for i := range values {
		values[i] = float64(i)
	}
	set, err := openValues(t, Int16, []int{2, 2, 4, 3}, values...)
	if err != nil {
		t.Fatal(err)
	}
	if set.Channels != 3 || set.Height != 2 || set.Width != 4 {
		t.Fatalf("%d×%d×%d", set.Channels, set.Height, set.Width)
	}
	for image := range 2 {
		for c := range 3 {
			for y := range 2 {
				for x := range 4 {
					want := uint8(((image*2+y)*4+x)*3 + c)
					if got := set.Image(image)[(c*2+y)*4+x]; got != want {
						t.Fatalf("image %d, channel %d, row %d, column %d is %d, want %d", image, c, y, x, got, want)
					}
				}
			}
		}
	}
}

// Halves are what IEEE 754 says, in each of its kinds.
func TestHalf(t *testing.T) {
	for bits, want := range map[uint16]float64{
		0x0000: 0, 0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 0x0001: math.Ldexp(1, -24),
		0x03ff: math.Ldexp(1023, -24),
		0x0400: math.Ldexp(1, -14), 0x3555: 0.333251953125, 0x7c00: math.Inf(1), 0xfc00: math.Inf(-1),
		0x5bf8: 255,
	} {
		if got := half(bits); got != want {
			t.Errorf("%#04x is %v, want %v", bits, got, want)
		}
	}
	if !math.IsNaN(half(0x7e00)) {
		t.Error("0x7e00 is a number")
	}
}

// Every type of IDX images goes the way of a training.
func TestIDXOfOtherTypesAsTrain(t *testing.T) {
	dir := t.TempDir()
	colour := make([]float64, 4*5*6*3)
	for i := range colour {
		colour[i] = float64(i%256) / 255
	}
	labels := encode(t, Int32, []int{4}, 0, 1, 2, 1)
	writeFiles(t, dir, map[string][]byte{
		"own/train-images-idx4-ubyte":   encode(t, Float32, []int{4, 5, 6, 3}, colour...),
		"own/train-labels-idx1-ubyte":   labels,
		"own/t10k-images-idx4-ubyte.gz": packIDX(t, encode(t, Float64, []int{4, 3, 5, 6}, colour...)),
		"own/t10k-labels-idx1-ubyte":    labels,
	})
	training, test := asTrain(t, dir, "own", Options{})
	if training.Channels != 3 || test.Channels != 3 || training.Height != 5 || test.Width != 6 ||
		training.Name != "own:train" || test.Name != "own:t10k" {
		t.Errorf("%v, %v", training.Info(), test.Info())
	}
}
