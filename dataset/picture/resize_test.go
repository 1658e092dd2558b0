package picture_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"slipway/dataset/picture"
)

func TestResizeGivesPillowsPixels(t *testing.T) {
	source := goldenUnder(t, "resize/")["source"]
	var resizer picture.Resizer
	var again picture.Image
	for name, want := range goldenUnder(t, "resize/") {
		if name == "source" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			parts := strings.Split(name, "/")
			var height, width int
			var box picture.Box
			if _, err := fmt.Sscan(parts[0]+" "+parts[1], &height, &width); err != nil {
				t.Fatal(err)
			}
			if _, err := fmt.Sscanf(parts[3], "%g,%g,%g,%g", &box.Left, &box.Top, &box.Right,
				&box.Bottom); err != nil {
				t.Fatal(err)
			}
			filter, err := picture.ParseFilter(parts[2])
			if err != nil {
				t.Fatal(err)
			}
			if err := resizer.Resize(&again, source, box, height, width, filter); err != nil {
				t.Fatal(err)
			}
			same(t, &again, want)
			if box == source.Bounds() {
				got, err := picture.Resize(source, height, width, filter)
				if err != nil {
					t.Fatal(err)
				}
				same(t, got, want)
			}
		})
	}
}

func TestResizePartRejects(t *testing.T) {
	m := picture.New(3, 5, 7)
	const most = math.MaxInt
	for _, part := range []picture.Part{
		{}, {Height: 5}, {Width: 7}, {Left: -1, Height: 5, Width: 7}, {Top: -1, Height: 5, Width: 7},
		{Left: 1, Height: 5, Width: 7}, {Top: 1, Height: 5, Width: 7}, {Height: -1, Width: 7},
		{Left: most, Height: 5, Width: 7}, {Height: most, Width: most},
		{Top: most, Height: most, Width: 1},
	} {
		err := new(picture.Resizer).ResizePart(&picture.Image{}, m, part, 2, 2, picture.Bilinear)
		if err == nil || !strings.Contains(err.Error(), "is empty or not inside 5×7 pixels") {
			t.Errorf("%+v: error %v", part, err)
		}
	}
	whole := picture.Part{Height: 5, Width: 7}
	for name, resize := range map[string]func(out *picture.Image) error{
		"an image of 2 channels": func(out *picture.Image) error {
			return new(picture.Resizer).ResizePart(out, picture.New(2, 5, 7), whole, 2, 2, picture.Bilinear)
		},
		"a size of 0×2 pixels": func(out *picture.Image) error {
			return new(picture.Resizer).ResizePart(out, m, whole, 0, 2, picture.Bilinear)
		},
		"filter 7 is unknown": func(out *picture.Image) error {
			return new(picture.Resizer).ResizePart(out, m, whole, 2, 2, 7)
		},
	} {
		if err := resize(&picture.Image{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want %q", err, name)
		}
	}
}

// The whole image is a part of itself, and every part is what a copy of it comes to.
func TestResizePartIsTheResizeOfACopy(t *testing.T) {
	source := goldenUnder(t, "resize/")["source"]
	var resizer picture.Resizer
	var got picture.Image
	for _, part := range []picture.Part{
		{Height: source.Height, Width: source.Width}, {Left: 3, Top: 2, Height: 30, Width: 40},
		{Left: 52, Top: 40, Height: 1, Width: 1},
		{Left: 5, Height: source.Height, Width: 11}, {Top: 7, Height: 9, Width: source.Width},
	} {
		part.Height, part.Width = min(part.Height, source.Height-part.Top), min(part.Width,
			source.Width-part.Left)
		alone := picture.New(3, part.Height, part.Width)
		for row := range 3 * part.Height {
			channel, y := row/part.Height, row%part.Height
			from := source.Pixels[(channel*source.Height+part.Top+y)*source.Width+part.Left:]
			copy(alone.Pixels[row*part.Width:][:part.Width], from)
		}
		for _, size := range [][2]int{{8, 8}, {part.Height, 5}, {5, part.Width},
			{part.Height, part.Width}, {64, 50}, {1, part.Width}} {
			want, err := picture.Resize(alone, size[0], size[1], picture.Bicubic)
			if err != nil {
				t.Fatal(err)
			}
			if err := resizer.ResizePart(&got, source, part, size[0], size[1], picture.Bicubic); err != nil {
				t.Fatal(err)
			}
			same(t, &got, want)
		}
	}
}
