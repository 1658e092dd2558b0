package augment

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"slipway/dataset/picture"
	"slipway/internal/safetensors"
	"slipway/scripts/golden/goldentest"
)

// golden reads what scripts/golden/augmentations.py wrote: images, and what Pillow made of each, as
// IMAGE/FUNCTION/ARGUMENTS.
func golden(t *testing.T) *safetensors.File {
	t.Helper()
	file, err := goldentest.ReadPacked("testdata/golden.safetensors.gz")
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// functions are Pillow's, of a canvas and of the numbers in a golden name.
func functions() map[string]func(c *canvas, v []float64) {
	return map[string]func(c *canvas, v []float64){
		"mirror": func(c *canvas, _ []float64) { c.mirror() },
		"flip": func(c *canvas, _ []float64) {
			VerticalFlip{Probability: 1}.apply(c, draws{})
		},
		"grey":         func(c *canvas, _ []float64) { c.grey() },
		"brightness":   func(c *canvas, v []float64) { c.brightness(v[0]) },
		"contrast":     func(c *canvas, v []float64) { c.contrast(v[0]) },
		"saturation":   func(c *canvas, v []float64) { c.saturation(v[0]) },
		"sharpness":    func(c *canvas, v []float64) { c.sharpness(v[0]) },
		"hue":          func(c *canvas, v []float64) { c.hue(v[0]) },
		"posterize":    func(c *canvas, v []float64) { c.posterize(int(v[0])) },
		"solarize":     func(c *canvas, v []float64) { c.solarize(v[0]) },
		"autocontrast": func(c *canvas, _ []float64) { c.autocontrast() },
		"equalize":     func(c *canvas, _ []float64) { c.equalize() },
		"rotate":       func(c *canvas, v []float64) { c.turnNearest(v[0]) },
		"shear-x":      func(c *canvas, v []float64) { shearX.apply(c, v[0], false) },
		"shear-y":      func(c *canvas, v []float64) { shearY.apply(c, v[0], false) },
		"translate-x":  func(c *canvas, v []float64) { c.translate(v[0], 0) },
		"translate-y":  func(c *canvas, v []float64) { c.translate(0, v[0]) },
		"affine": func(c *canvas, v []float64) {
			c.warp(inverse(c.centre(), v[0], [2]float64{v[1], v[2]}, v[3], [2]float64{v[4]}))
		},
	}
}

// Byte for byte, from the caller's image and from one that is the canvas's own already.
func TestOperationsGivePillowsBytes(t *testing.T) {
	file := golden(t)
	seen := map[string]int{}
	for _, want := range file.Tensors {
		parts := strings.Split(want.Name, "/")
		if len(parts) == 1 || parts[1] == "crop" {
			continue
		}
		source, ok := file.Tensor(parts[0])
		if !ok {
			t.Fatalf("there is no %s", parts[0])
		}
		function := functions()[parts[1]]
		if function == nil {
			t.Fatalf("%s: no such function", want.Name)
		}
		seen[parts[1]]++
		var numbers []float64
		for _, text := range parts[2:] {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			numbers = append(numbers, v)
		}
		shape := Shape{source.Shape[0], source.Shape[1], source.Shape[2]}
		for _, inPlace := range []bool{false, true} {
			image := slices.Clone(source.Data)
			dst := image
			if !inPlace {
				dst = make([]uint8, len(image))
			}
			c := newCanvas(shape)
			c.begin(dst, image)
			function(c, numbers)
			c.end()
			if !slices.Equal(dst, want.Data) {
				t.Errorf("%s, in place %v: %s", want.Name, inPlace, difference(dst, want.Data))
			}
			if !inPlace && !slices.Equal(image, source.Data) {
				t.Errorf("%s changed the image that it was given", want.Name)
			}
		}
	}
	if len(seen) != len(functions()) {
		t.Errorf("golden images of %d functions, there are %d: %v", len(seen), len(functions()),
			seen)
	}
}

// difference tells how often two images differ by how much.
func difference(got, want []uint8) string {
	counts := map[int]int{}
	for i, v := range got {
		counts[int(v)-int(want[i])]++
	}
	delete(counts, 0)
	var text []string
	for by, n := range counts {
		text = append(text, strconv.Itoa(n)+" of "+strconv.Itoa(len(got))+" by "+strconv.Itoa(by))
	}
	slices.Sort(text)
	return strings.Join(text[:min(len(text), 8)], ", ")
}

// A part of a picture is Pillow's crop and resize, which is torchvision's resized_crop.
func TestPartsOfPicturesGivePillowsBytes(t *testing.T) {
	file := golden(t)
	source, _ := file.Tensor("picture")
	m := &picture.Image{Channels: 3, Height: source.Shape[1], Width: source.Shape[2],
		Pixels: source.Data}
	cases := 0
	for _, want := range file.Tensors {
		arguments, ok := strings.CutPrefix(want.Name, "picture/crop/")
		if !ok {
			continue
		}
		cases++
		var numbers []int
		parts := strings.Split(arguments, "/")
		for _, text := range parts[:4] {
			n, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			numbers = append(numbers, n)
		}
		filter, err := picture.ParseFilter(parts[4])
		if err != nil {
			t.Fatal(err)
		}
		part := picture.Part{Left: numbers[0], Top: numbers[1], Height: numbers[2],
			Width: numbers[3]}
		var out picture.Image
		if err := new(picture.Resizer).ResizePart(&out, m, part, want.Shape[1], want.Shape[2],
			filter); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(out.Pixels, want.Data) {
			t.Errorf("%s: %s", want.Name, difference(out.Pixels, want.Data))
		}
	}
	if cases != 14 {
		t.Errorf("%d parts in the file", cases)
	}
}
