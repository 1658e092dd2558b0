package picture_test

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"testing"

	"slipway/dataset/picture"
)

// photograph is a JPEG of 500×375 pixels with as much detail as a photograph of that size has.
func photograph(b testing.TB) []byte {
	b.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 500, 375))
	noise := uint32(1)
	for y := range 375 {
		for x := range 500 {
			noise = noise*1664525 + 1013904223
			v := 120 + 80*math.Sin(float64(x)/17)*math.Cos(float64(y)/23) + float64(noise>>27)
			m.SetRGBA(x, y, color.RGBA{uint8(v), uint8(v * 0.8), uint8(255 - v), 255})
		}
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, m, &jpeg.Options{Quality: 90}); err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}

func BenchmarkDecodePhotograph(b *testing.B) {
	data := photograph(b)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := picture.Decode(data, picture.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodePhotographByTheStandardLibrary(b *testing.B) {
	data := photograph(b)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := jpeg.Decode(bytes.NewReader(data)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFitPhotograph(b *testing.B) {
	decoded, err := picture.Decode(photograph(b), picture.Options{})
	if err != nil {
		b.Fatal(err)
	}
	for _, filter := range []picture.Filter{picture.Bilinear, picture.Bicubic} {
		b.Run(filter.String(), func(b *testing.B) {
			var resizer picture.Resizer
			var out picture.Image
			for b.Loop() {
				if err := resizer.Fit(&out, decoded,
					picture.Sizing{Height: 224, Width: 224, Filter: filter}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
