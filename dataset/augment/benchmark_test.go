package augment

import (
	"testing"

	"slipway/dataset/picture"
)

// Each operation, always done, on an image of 3×224×224.
func BenchmarkApply(b *testing.B) {
	shape := Shape{3, 224, 224}
	image, dst := noise(shape, 1), make([]uint8, shape.size())
	for _, o := range []Operation{
		Flip{1}, VerticalFlip{1}, Shift{8}, Crop{8, Reflect}, Rotation{10}, Scale{},
		Affine{10, 0.1, Range{0.9, 1.1}, 5}, ColorJitter{0.4, 0.4, 0.4, 0.1},
		ColorJitter{0.4, 0, 0, 0}, Grayscale{1}, Cutout{}, RandomErasing{Probability: 1},
		RandAugment{}, TrivialAugment{},
	} {
		b.Run(o.String(), func(b *testing.B) {
			a := augmenter(b, List{o}, 1, shape)
			b.SetBytes(int64(len(image)))
			b.ReportAllocs()
			index := 0
			for b.Loop() {
				index++
				if err := a.Apply(dst, image, 1, index); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A photograph of 375×500 becomes 224×224: by its whole, resized, and by random resized crops.
func BenchmarkApplyOriginal(b *testing.B) {
	source := Shape{3, 375, 500}
	original := &picture.Image{Channels: 3, Height: 375, Width: 500, Pixels: noise(source, 1)}
	dst := make([]uint8, 3*224*224)
	b.Run("resize alone", func(b *testing.B) {
		var resizer picture.Resizer
		var out picture.Image
		for b.Loop() {
			if err := resizer.Resize(&out, original, original.Bounds(), 224, 224,
				picture.Bilinear); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, list := range []List{{RandomResizedCrop{}}, {RandomResizedCrop{}, Flip{}},
		{RandomResizedCrop{}, Flip{}, ColorJitter{0.4, 0.4, 0.4, 0.1}}} {
		b.Run(list.String(), func(b *testing.B) {
			a := augmenter(b, list, 1, Shape{3, 224, 224})
			b.ReportAllocs()
			index := 0
			for b.Loop() {
				index++
				if err := a.ApplyOriginal(dst, original, 1, index); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
