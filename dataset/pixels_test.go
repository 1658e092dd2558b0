package dataset

import (
	"errors"
	"math"
	"testing"
)

// colours is two images of 3×1×2 bytes.
func colours(t *testing.T) *Set {
	t.Helper()
	s, err := NewSet("colours", []uint8{0, 51, 102, 153, 204, 255, 1, 2, 3, 4, 5, 6}, []int32{1, 0}, 3,
		1, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Each channel has its own mean and deviation, in the order in which it is fed.
func TestFillByChannel(t *testing.T) {
	means, stds := []float64{0.1, 0.2, 0.4}, []float64{0.5, 0.25, 2}
	byChannel, err := ChannelPixels(means, stds)
	if err != nil {
		t.Fatal(err)
	}
	s := colours(t)
	for _, test := range []struct {
		pixels Pixels
		name   string
		want   func(channel int, x byte) float64
		order  []int
	}{
		{byChannel, "(x/255-(0.1,0.2,0.4))/(0.5,0.25,2)", func(c int, x byte) float64 {
			return (float64(x)/255 - means[c]) / stds[c]
		}, []int{0, 1, 2}},
		{byChannel.ReversedChannels(), "(x/255-(0.1,0.2,0.4))/(0.5,0.25,2), blue first",
			func(c int, x byte) float64 { return (float64(x)/255 - means[c]) / stds[c] }, []int{2, 1, 0}},
		{Pixels{}.ReversedChannels(), "x, blue first", func(_ int, x byte) float64 { return float64(x) },
			[]int{2, 1, 0}},
		{UnitPixels().ReversedChannels(), "x/255, blue first", func(_ int, x byte) float64 {
			return float64(x) / 255
		}, []int{2, 1, 0}},
		{UnitPixels().ReversedChannels().ReversedChannels(), "x/255", func(_ int, x byte) float64 {
			return float64(x) / 255
		}, []int{0, 1, 2}},
	} {
		if got := test.pixels.String(); got != test.name {
			t.Errorf("String() = %q, want %q", got, test.name)
		}
		dst, labels := make([]float32, 12), make([]int32, 2)
		if err := s.Fill(dst, labels, []int{1, 0}, test.pixels); err != nil {
			t.Fatal(err)
		}
		if labels[0] != 0 || labels[1] != 1 {
			t.Errorf("%s: labels %v", test.pixels, labels)
		}
		for k, image := range []int{1, 0} {
			for c, from := range test.order {
				for j := range 2 {
					want := test.want(c, s.Image(image)[2*from+j])
					if got := dst[6*k+2*c+j]; math.Abs(float64(got)-want) > 1e-6 {
						t.Errorf("%s: image %d, channel %d, pixel %d is %g, want %g", test.pixels, image, c, j, got,
							want)
					}
				}
			}
		}
	}
}

func TestPixelsOfOtherChannels(t *testing.T) {
	two, err := ChannelPixels([]float64{0, 0}, []float64{1, 1})
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]float32, 12)
	if err := colours(t).Fill(dst, nil, []int{0}, two); !errors.Is(err, ErrArgument) {
		t.Errorf("two channels of three: %v", err)
	}
	grey, err := NewSet("grey", []uint8{7}, []int32{0}, 1, 1, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := grey.Fill(dst, nil, []int{0}, Pixels{}.ReversedChannels()); !errors.Is(err,
		ErrArgument) || dst[0] != 0 {
		t.Errorf("blue first of one channel: %v, %g", err, dst[0])
	}
	for _, bad := range [][2][]float64{{nil, nil}, {{0}, {1, 1}}, {{0, 0, 0}, {1, 1, 0}},
		{{0, math.NaN()}, {1, 1}}} {
		if _, err := ChannelPixels(bad[0], bad[1]); !errors.Is(err, ErrArgument) {
			t.Errorf("ChannelPixels(%v, %v): %v", bad[0], bad[1], err)
		}
	}
}
