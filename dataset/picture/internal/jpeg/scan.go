package jpeg

import "fmt"

// scanPart is one component's share of a scan.
type scanPart struct {
	*component
	dc, ac   *huffman
	previous int32 // the last block's first coefficient, which the next is told as a difference from
}

// scanRange is what of each block a scan holds (G.1.1.1): the coefficients first to last, in zigzag
// order, and of their bits those from low up, or, where high is not 0, the bit low alone.
type scanRange struct {
	first, last int
	high, low   int
}

// maxScans is far above the ten passes that encoders make. Each costs time, and next to no bytes.
const maxScans = 200

// scan reads one pass over the picture (B.2.3).
func (d *decoder) scan(header []byte) error {
	if d.scans++; d.scans > maxScans {
		return invalid("more than %d passes over the picture", maxScans)
	}
	if d.components == nil {
		return invalid("its pixels begin before its size is told")
	}
	parts, area, err := d.readScanHeader(header)
	if err != nil {
		return err
	}
	if d.components[0].plane == nil {
		if err := d.allocate(); err != nil {
			return err
		}
	}
	for _, part := range parts {
		part.seen = true
		if part.steps == nil {
			if part.steps = d.quantization[part.quantization]; part.steps == nil {
				return invalid("quantization table %d is missing", part.quantization)
			}
		}
	}
	d.bits = bitReader{data: d.data, position: d.position}
	d.endOfBand = 0
	if err := d.scanUnits(parts, area); err != nil {
		return err
	}
	d.position = d.bits.position
	return nil
}

func (d *decoder) readScanHeader(header []byte) ([]scanPart, scanRange, error) {
	var area scanRange
	if len(header) < 1 || header[0] < 1 || header[0] > 4 || len(header) < 4+2*int(header[0]) {
		return nil, area, invalid("a scan header of %d bytes", len(header))
	}
	n := int(header[0])
	tail := header[1+2*n:]
	area = scanRange{0, 63, 0, 0}
	if d.progressive {
		area = scanRange{int(tail[0]), int(tail[1]), int(tail[2] >> 4), int(tail[2] & 15)}
		if area.first > area.last || area.last > 63 || area.first == 0 && area.last != 0 ||
			area.first > 0 && n > 1 || area.low > 13 || area.high != 0 && area.high != area.low+1 {
			return nil, area, invalid("a scan of the coefficients %d to %d, bits %d to %d",
				area.first, area.last, area.high, area.low)
		}
	}
	parts := make([]scanPart, n)
	for i := range parts {
		id, slots := header[1+2*i], header[2+2*i]
		for j := range d.components {
			if d.components[j].id == id {
				parts[i].component = &d.components[j]
			}
		}
		for j := range i {
			if parts[j].component == parts[i].component {
				return nil, area, invalid("a scan has component %d twice", id)
			}
		}
		if parts[i].component == nil || slots>>4 > 3 || slots&15 > 3 {
			return nil, area, invalid("a scan of component %d with the Huffman tables %#02x", id, slots)
		}
		parts[i].dc, parts[i].ac = &d.tables[0][slots>>4], &d.tables[1][slots&15]
		needsDC := area.first == 0 && area.high == 0
		needsAC := area.last > 0
		if needsDC && !parts[i].dc.defined || needsAC && !parts[i].ac.defined {
			return nil, area, invalid("a scan's Huffman table is missing")
		}
		if !d.progressive && parts[i].seen {
			return nil, area, invalid("component %d comes twice", id)
		}
	}
	return parts, area, nil
}

// scanUnits reads the minimum coded units of a scan: of one component its blocks, else some of each
// component (A.2).
func (d *decoder) scanUnits(parts []scanPart, area scanRange) error {
	across, down := d.unitsAcross, d.unitsDown
	single := len(parts) == 1
	if single {
		across, down = parts[0].blocksWide, parts[0].blocksHigh
	}
	var block [64]int32
	unit, restarts := 0, 0
	for y := range down {
		if err := d.ctx.Err(); err != nil {
			return err
		}
		for x := range across {
			if d.restartInterval > 0 && unit > 0 && unit%d.restartInterval == 0 {
				if err := d.restart(restarts); err != nil {
					return fmt.Errorf("in row %d of %d: %w", y*d.height/down, d.height, err)
				}
				restarts = (restarts + 1) % 8
				for i := range parts {
					parts[i].previous = 0
				}
				d.endOfBand = 0
			}
			unit++
			var err error
			for i := range parts {
				part := &parts[i]
				if single {
					err = d.block(part, area, x, y, &block)
				} else {
					for v := 0; v < part.v && err == nil; v++ {
						for h := 0; h < part.h && err == nil; h++ {
							err = d.block(part, area, x*part.h+h, y*part.v+v, &block)
						}
					}
				}
			}
			if d.bits.exhausted() {
				if d.bits.position < len(d.data)-1 {
					err = invalid("its pixels end early, at a marker")
				} else {
					err = ErrTruncated
				}
			}
			if err != nil {
				return fmt.Errorf("in row %d of %d: %w", y*d.height/down, d.height, err)
			}
		}
	}
	return nil
}

// restart passes the marker RSTn.
func (d *decoder) restart(n int) error {
	d.position = d.bits.position
	marker, ok := d.nextMarker()
	if !ok {
		return ErrTruncated
	}
	if marker != byte(markerRST0+n) {
		return invalid("the marker %#x where the restart %d belongs", marker, n)
	}
	d.bits.restart()
	d.bits.position = d.position
	return nil
}

// block reads what a scan holds of one block.
func (d *decoder) block(part *scanPart, area scanRange, x, y int, block *[64]int32) error {
	if d.progressive {
		coefficients := &part.coefficients[y*part.blocksAcross+x]
		switch {
		case area.first == 0 && area.high == 0:
			return d.firstOfDC(part, coefficients, area.low)
		case area.first == 0:
			if d.bits.take(1) != 0 {
				coefficients[0] |= 1 << area.low
			}
			return nil
		case area.high == 0:
			return d.firstOfAC(part.ac, coefficients, area)
		default:
			return d.refineAC(part.ac, coefficients, area)
		}
	}
	last, err := d.sequential(part, block)
	if err != nil {
		return err
	}
	stride := 8 * part.blocksAcross
	plane := part.plane[8*y*stride+8*x:]
	if last == 0 {
		flat(block[0], plane, stride)
	} else {
		inverse(block, plane, stride)
		*block = [64]int32{}
	}
	return nil
}

// sequential reads all of a block (F.2.2) into zeros, dequantized and in natural order, and returns
// the place of its last coefficient in zigzag order.
func (d *decoder) sequential(part *scanPart, block *[64]int32) (last int, err error) {
	size, ok := d.bits.symbol(part.dc)
	if !ok || size > 15 {
		return 0, errCode()
	}
	part.previous += d.bits.extended(int(size))
	block[0] = part.previous * part.steps[0]
	// The reader's state is kept in registers: this loop is half of the time that a picture takes.
	bits, count, table := d.bits.bits, d.bits.count, part.ac
	for k := 1; k < 64; k++ {
		if count < 32 {
			d.bits.bits, d.bits.count = bits, count
			d.bits.fill()
			bits, count = d.bits.bits, d.bits.count
		}
		var symbol uint8
		if entry := table.lookup[bits>>uint(count-lookupBits)&(1<<lookupBits-1)]; entry != 0 {
			count -= int(entry >> 8)
			symbol = uint8(entry)
		} else {
			d.bits.bits, d.bits.count = bits, count
			if symbol, ok = d.bits.symbol(table); !ok {
				return 0, errCode()
			}
			count = d.bits.count
		}
		run, size := int(symbol>>4), uint(symbol&15)
		if size == 0 {
			if run != 15 {
				break
			}
			k += 15
			continue
		}
		if k += run; k > 63 {
			d.bits.bits, d.bits.count = bits, count
			return 0, errCode()
		}
		count -= int(size)
		value := int32(bits>>uint(count)) & (1<<size - 1)
		if value < 1<<(size-1) {
			value -= 1<<size - 1
		}
		place := zigzag[k] & 63
		block[place] = value * part.steps[place]
		last = k
	}
	d.bits.bits, d.bits.count = bits, count
	return last, nil
}

func errCode() error { return invalid("bits that are no code of its Huffman table") }
