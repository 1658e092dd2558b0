package augment

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
)

// Flip mirrors the image, left to right, with a probability. It is torchvision's
// RandomHorizontalFlip, and moves bytes.
type Flip struct {
	Probability float64 // 0…1, 0.5 if 0
}

// Name is "flip".
func (Flip) Name() string            { return "flip" }
func (o Flip) String() string        { return text(o) }
func (o Flip) settings() settings    { return &o }
func (o *Flip) operation() Operation { return *o }
func (o *Flip) fields() []field      { return []field{{"probability", &o.Probability, 0.5}} }
func (o Flip) check(Shape) error     { return checkProbability(o.Probability) }

func (o Flip) apply(c *canvas, d draws) {
	if d.block(0).happens(0, o.Probability) {
		c.mirror()
	}
}

func (c *canvas) mirror() {
	if c.from == nil {
		for row := range slices.Chunk(c.now, c.Width) {
			reverse(row)
		}
		return
	}
	to := c.other()
	for first := 0; first < len(to); first += c.Width {
		mirrored(to[first:][:c.Width], c.now[first:][:c.Width])
	}
	c.turn(to)
}

// mirrored writes a row from its end to its beginning, eight bytes at a time.
func mirrored(to, from []uint8) {
	for len(from) >= 8 {
		last := len(from) - 8
		turned := bits.ReverseBytes64(binary.LittleEndian.Uint64(from[last:]))
		binary.LittleEndian.PutUint64(to, turned)
		to, from = to[8:], from[:last]
	}
	for i := range from {
		to[i] = from[len(from)-1-i]
	}
}

// reverse is mirrored for a row in its place, eight bytes of each end at a time.
func reverse(row []uint8) {
	for len(row) >= 16 {
		last := row[len(row)-8:]
		left, right := binary.LittleEndian.Uint64(row), binary.LittleEndian.Uint64(last)
		binary.LittleEndian.PutUint64(row, bits.ReverseBytes64(right))
		binary.LittleEndian.PutUint64(last, bits.ReverseBytes64(left))
		row = row[8 : len(row)-8]
	}
	slices.Reverse(row)
}

// VerticalFlip turns the image upside down, mirrored, with a probability. It is torchvision's
// RandomVerticalFlip, and moves bytes.
type VerticalFlip struct {
	Probability float64 // 0…1, 0.5 if 0
}

// Name is "vertical-flip".
func (VerticalFlip) Name() string            { return "vertical-flip" }
func (o VerticalFlip) String() string        { return text(o) }
func (o VerticalFlip) settings() settings    { return &o }
func (o *VerticalFlip) operation() Operation { return *o }
func (o VerticalFlip) check(Shape) error     { return checkProbability(o.Probability) }
func (o *VerticalFlip) fields() []field {
	return []field{{"probability", &o.Probability, 0.5}}
}

func (o VerticalFlip) apply(c *canvas, d draws) {
	if !d.block(0).happens(0, o.Probability) {
		return
	}
	c.planes(func(to, from []uint8) {
		for first := 0; first < len(to); first += c.Width {
			copy(to[first:][:c.Width], from[len(from)-c.Width-first:])
		}
	})
}

func checkProbability(p float64) error {
	if !(p > 0 && p <= 1) {
		return errors.New("the probability is not above 0 and at most 1")
	}
	return nil
}
