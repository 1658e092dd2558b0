package augment

import (
	"bytes"
	"testing"
)

// pixelwise is an image each of whose pixels is looked up in another, 0 where there is none.
func pixelwise(s Shape, image []uint8, from func(y, x int) (int, int)) []uint8 {
	out := make([]uint8, len(image))
	for i := range out {
		channel, y, x := i/s.plane(), i/s.Width%s.Height, i%s.Width
		j, k := from(y, x)
		if j >= 0 && j < s.Height && k >= 0 && k < s.Width {
			out[i] = image[channel*s.plane()+j*s.Width+k]
		}
	}
	return out
}

func TestFlipsAreTheirDefinitions(t *testing.T) {
	for _, s := range []Shape{{3, 4, 5}, {1, 5, 4}, {2, 1, 1}, {1, 2, 8}, {1, 2, 16}, {2, 3, 37}} {
		image := noise(s, 1)
		across := func(y, x int) (int, int) { return y, s.Width - 1 - x }
		down := func(y, x int) (int, int) { return s.Height - 1 - y, x }
		both := func(y, x int) (int, int) { return s.Height - 1 - y, s.Width - 1 - x }
		for _, test := range []struct {
			list List
			from func(y, x int) (int, int)
		}{
			{List{Flip{1}}, across},
			{List{VerticalFlip{1}}, down},
			{List{VerticalFlip{1}, Flip{1}}, both}, // the second in its place
			{List{Flip{1}, VerticalFlip{1}}, both},
		} {
			got := applied(t, augmenter(t, test.list, 1, s), image, 0, 0)
			if want := pixelwise(s, image, test.from); !bytes.Equal(got, want) {
				t.Errorf("%v by %v: %v, want %v", s, test.list, got, want)
			}
		}
	}
}

func TestShiftIsItsDefinition(t *testing.T) {
	s := Shape{2, 4, 5}
	image := noise(s, 1)
	for down := -3; down <= 3; down++ {
		for right := -4; right <= 4; right++ {
			got := make([]uint8, len(image))
			c := newCanvas(s)
			c.begin(got, image)
			c.shift(down, right)
			c.end()
			want := pixelwise(s, image, func(y, x int) (int, int) { return y - down, x - right })
			if !bytes.Equal(got, want) {
				t.Errorf("down by %d, right by %d: %v, want %v", down, right, got, want)
			}
		}
	}
}

// NumPy's pad, which torchvision uses, with its modes of the same names but constant: of 1 2 3 4.
func TestPaddingIsNumPys(t *testing.T) {
	for mode, want := range map[string][]int{
		Edge:      {1, 1, 1, 1, 2, 3, 4, 4, 4, 4},
		Reflect:   {4, 3, 2, 1, 2, 3, 4, 3, 2, 1},
		Symmetric: {3, 2, 1, 1, 2, 3, 4, 4, 3, 2},
	} {
		for place, value := range want {
			if got := padding(mode)(place-3, 4) + 1; got != value {
				t.Errorf("%s, place %d: %d, want %d", mode, place-3, got, value)
			}
		}
	}
}

// Each crop is one of those that there are.
func TestCropIsOneOfItsParts(t *testing.T) {
	s := Shape{2, 5, 6}
	image := noise(s, 1)
	for _, mode := range []string{Constant, Edge, Reflect, Symmetric} {
		const padded = 2
		parts := map[string]int{}
		for top := -padded; top <= padded; top++ {
			for left := -padded; left <= padded; left++ {
				parts[string(pixelwise(s, image, func(y, x int) (int, int) {
					if mode == Constant {
						return y + top, x + left
					}
					return padding(mode)(y+top, s.Height), padding(mode)(x+left, s.Width)
				}))] = 0
			}
		}
		a := augmenter(t, List{Crop{padded, mode}}, 2, s)
		for index := range 500 {
			got := string(applied(t, a, image, 0, index))
			if _, ok := parts[got]; !ok {
				t.Fatalf("%s: image %d is no part", mode, index)
			}
			parts[got]++
		}
		for _, n := range parts {
			if n == 0 {
				t.Errorf("%s: a part of %d was not drawn 500 times", mode, len(parts))
			}
		}
	}
}

// A cut-out square of odd or even size lies where it should, and the rest stays.
func TestErasedRectangles(t *testing.T) {
	s := Shape{3, 5, 7}
	image := bytes.Repeat([]uint8{9}, s.size())
	for _, r := range [][4]int{{0, 0, 5, 7}, {-2, -1, 4, 3}, {3, 5, 4, 4}, {1, 2, 2, 3},
		{2, 2, 0, 3}, {1, 1, 1, 0}} {
		got := make([]uint8, len(image))
		c := newCanvas(s)
		c.begin(got, image)
		c.erase(r[0], r[1], r[2], r[3])
		c.end()
		for i, v := range got {
			y, x := i/s.Width%s.Height, i%s.Width
			inside := y >= r[0] && y < r[0]+r[2] && x >= r[1] && x < r[1]+r[3]
			if inside != (v == 0) {
				t.Errorf("%v: row %d, column %d is %d", r, y, x, v)
			}
		}
	}
}

// The changes of RandAugment and TrivialAugment have the magnitudes of torchvision 0.29's
// _augmentation_space for images of 32×64 (height, width): at bins 0, 9, 15 and 30.
func TestTablesAreTorchvisions(t *testing.T) {
	at := [4]int{0, 9, 15, 30}
	for change, want := range map[change][4]float64{
		identity: {}, autocontrast: {}, equalize: {},
		shearX: {0, 0.09, 0.15, 0.3}, shearY: {0, 0.09, 0.15, 0.3},
		translateX: {0, 8.7009, 14.5015, 29.0030}, translateY: {0, 4.3505, 7.2508, 14.5015},
		rotate: {0, 9, 15, 30}, brightness: {0, 0.27, 0.45, 0.9}, color: {0, 0.27, 0.45, 0.9},
		contrast: {0, 0.27, 0.45, 0.9}, sharpness: {0, 0.27, 0.45, 0.9},
		posterize: {8, 7, 6, 4}, solarize: {255, 178.5, 127.5, 0},
	} {
		for i, bin := range at {
			if got := change.moderate(bin, bins, 32, 64); got < want[i]-1e-4 || got > want[i]+1e-4 {
				t.Errorf("RandAugment's change %d at %d is %v, want %v", change, bin, got, want[i])
			}
		}
	}
	for change, want := range map[change][4]float64{
		identity: {}, autocontrast: {}, equalize: {},
		shearX: {0, 0.297, 0.495, 0.99}, shearY: {0, 0.297, 0.495, 0.99},
		translateX: {0, 9.6, 16, 32}, translateY: {0, 9.6, 16, 32},
		rotate: {0, 40.5, 67.5, 135}, brightness: {0, 0.297, 0.495, 0.99},
		color:    {0, 0.297, 0.495, 0.99},
		contrast: {0, 0.297, 0.495, 0.99}, sharpness: {0, 0.297, 0.495, 0.99},
		posterize: {8, 6, 5, 2}, solarize: {255, 178.5, 127.5, 0},
	} {
		for i, bin := range at {
			if got := change.wide(bin, bins); got < want[i]-1e-4 || got > want[i]+1e-4 {
				t.Errorf("TrivialAugment's change %d at %d is %v, want %v", change, bin, got,
					want[i])
			}
		}
	}
}
