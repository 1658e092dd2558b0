package jpeg

import (
	"encoding/binary"
	"fmt"
)

// readFrame reads the picture's size and its components (B.2.2).
func (d *decoder) readFrame(marker byte, segment []byte) error {
	switch marker {
	case markerSOF0, markerSOF1:
	case markerSOF2:
		d.progressive = true
	case 0xC3:
		return unsupported("lossless JPEG")
	case 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF:
		return unsupported("JPEG with arithmetic coding")
	default:
		return unsupported("hierarchical JPEG")
	}
	if d.components != nil {
		return invalid("it begins a second picture before the first ends")
	}
	if len(segment) < 6 || len(segment) < 6+3*int(segment[5]) {
		return invalid("a frame header of %d bytes", len(segment))
	}
	if segment[0] != 8 {
		return unsupported(fmt.Sprintf("JPEG with %d bits a sample, of 8,", segment[0]))
	}
	d.height, d.width = int(binary.BigEndian.Uint16(segment[1:])), int(binary.BigEndian.Uint16(segment[3:]))
	if d.height == 0 && d.width > 0 {
		return unsupported("JPEG that tells its height after its pixels")
	}
	if d.height == 0 || d.width == 0 {
		return invalid("its picture is %d pixels wide and %d high", d.width, d.height)
	}
	n := int(segment[5])
	if n != 1 && n != 3 && n != 4 {
		return unsupported(fmt.Sprintf("JPEG with %d components, of 1, 3 or 4,", n))
	}
	d.components = make([]component, n)
	for i := range d.components {
		c, part := &d.components[i], segment[6+3*i:]
		*c = component{id: part[0], h: int(part[1] >> 4), v: int(part[1] & 15), quantization: part[2]}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 || c.quantization > 3 {
			return invalid("component %d has the sampling factors %d×%d and quantization table %d", i+1, c.h, c.v, c.quantization)
		}
		d.maxH, d.maxV = max(d.maxH, c.h), max(d.maxV, c.v)
		for j := range i {
			if d.components[j].id == c.id {
				return invalid("two components are called %d", c.id)
			}
		}
	}
	d.unitsAcross, d.unitsDown = divideUp(d.width, 8*d.maxH), divideUp(d.height, 8*d.maxV)
	for i := range d.components {
		c := &d.components[i]
		c.width, c.height = divideUp(d.width*c.h, d.maxH), divideUp(d.height*c.v, d.maxV)
		c.blocksWide, c.blocksHigh = divideUp(c.width, 8), divideUp(c.height, 8)
		c.blocksAcross, c.blocksDown = d.unitsAcross*c.h, d.unitsDown*c.v
	}
	return nil
}

// allocate makes room for the pixels, once a scan begins.
func (d *decoder) allocate() error {
	blocks := 0
	for _, c := range d.components {
		blocks += c.blocksWide * c.blocksHigh
	}
	// No block takes less than a bit: a header alone makes nobody allocate.
	if blocks > 8*len(d.data) {
		return fmt.Errorf("%d bytes cannot hold %d×%d pixels: %w", len(d.data), d.width, d.height, ErrTruncated)
	}
	for i := range d.components {
		c := &d.components[i]
		c.plane = make([]uint8, 64*c.blocksAcross*c.blocksDown)
		if d.progressive {
			c.coefficients = make([][64]int16, c.blocksAcross*c.blocksDown)
		}
	}
	return nil
}

func divideUp(a, b int) int { return (a + b - 1) / b }
