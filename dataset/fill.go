package dataset

import (
	"fmt"
	"math"
)

// Pixels says how bytes become float32. The zero value keeps 0…255.
type Pixels struct {
	table *[256]float32
	name  string
}

// UnitPixels maps 0…255 to 0…1: x/255.
func UnitPixels() Pixels {
	return newPixels("x/255", func(x float32) float32 { return x / 255 })
}

// StandardPixels maps x to (x/255 − mean)/std, mean and std being on the scale
// 0…1, as PyTorch's Normalize has it (MNIST: 0.1307 and 0.3081).
func StandardPixels(mean, std float64) (Pixels, error) {
	m, s := float32(mean), float32(std)
	lowest, highest := (0-m)/s, (1-m)/s
	if !(s > 0) || !finite(m) || !finite(s) || !finite(lowest) || !finite(highest) {
		return Pixels{}, fmt.Errorf("%w: mean %g, standard deviation %g; the deviation must be over 0 and both finite",
			ErrArgument, mean, std)
	}
	return newPixels(fmt.Sprintf("(x/255-%g)/%g", mean, std), func(x float32) float32 { return (x/255 - m) / s }), nil
}

func newPixels(name string, convert func(float32) float32) Pixels {
	p := Pixels{table: new([256]float32), name: name}
	for x := range p.table {
		p.table[x] = convert(float32(x))
	}
	return p
}

// Table returns the float32 of each byte.
func (p Pixels) Table() (table [256]float32) {
	if p.table != nil {
		return *p.table
	}
	for x := range table {
		table[x] = float32(x)
	}
	return table
}

// String is the formula, x being the byte.
func (p Pixels) String() string {
	if p.table == nil {
		return "x"
	}
	return p.name
}

// Fill writes the images of those indices to dst, B×C×H×W, and their labels
// to labels, B, without allocating. Both may be longer than needed; labels
// may be nil. On an error nothing is written.
func (s *Set) Fill(dst []float32, labels []int32, indices []int, pixels Pixels) error {
	size := s.ImageSize()
	if len(dst)/size < len(indices) {
		return fmt.Errorf("%w: %d images of %d values into a buffer of %d", ErrSize, len(indices), size, len(dst))
	}
	if labels != nil && len(labels) < len(indices) {
		return fmt.Errorf("%w: %d labels into a buffer of %d", ErrSize, len(indices), len(labels))
	}
	for _, i := range indices {
		if err := s.checkIndex(i); err != nil {
			return err
		}
	}
	table := pixels.Table() // looking a pixel up costs less than converting it
	for k, i := range indices {
		image := s.Image(i)
		out := dst[k*size:][:len(image)]
		for j, x := range image {
			out[j] = table[x]
		}
		if labels != nil {
			labels[k] = s.Labels[i]
		}
	}
	return nil
}

func finite(x float32) bool {
	return !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0)
}
