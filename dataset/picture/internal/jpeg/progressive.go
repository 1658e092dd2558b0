package jpeg

// firstOfDC reads the upper bits of a block's first coefficient (G.1.2.1).
func (d *decoder) firstOfDC(part *scanPart, block *[64]int16, low int) error {
	size, ok := d.bits.symbol(part.dc)
	if !ok || size > 15 {
		return errCode()
	}
	part.previous += d.bits.extended(int(size))
	block[0] = int16(part.previous << low)
	return nil
}

// firstOfAC reads the upper bits of some other coefficients (G.1.2.2).
func (d *decoder) firstOfAC(table *huffman, block *[64]int16, area scanRange) error {
	if d.endOfBand > 0 {
		d.endOfBand--
		return nil
	}
	for k := area.first; k <= area.last; k++ {
		symbol, ok := d.bits.symbol(table)
		if !ok {
			return errCode()
		}
		run, size := int(symbol>>4), int(symbol&15)
		if size == 0 {
			if run < 15 {
				d.endOfBand = 1<<run - 1 + d.bits.take(run)
				return nil
			}
			k += 15
			continue
		}
		k += run
		if k > area.last {
			return errCode()
		}
		block[k] = int16(d.bits.extended(size) << area.low)
	}
	return nil
}

// refineAC reads one bit more of coefficients that are not 0 yet, and the first bit of those that
// become so (G.1.2.3).
func (d *decoder) refineAC(table *huffman, block *[64]int16, area scanRange) error {
	bit := int16(1) << area.low
	k := area.first
	for d.endOfBand == 0 && k <= area.last {
		symbol, ok := d.bits.symbol(table)
		if !ok {
			return errCode()
		}
		run, size := int(symbol>>4), int(symbol&15)
		var value int16
		switch {
		case size == 1:
			if value = -bit; d.bits.take(1) != 0 {
				value = bit
			}
		case size != 0:
			return errCode()
		case run < 15:
			d.endOfBand = 1<<run + d.bits.take(run)
		}
		if d.endOfBand > 0 {
			break
		}
		// Over run zeros; what is not 0 on the way is refined, also right after the last of them.
		for ; k <= area.last; k++ {
			if block[k] != 0 {
				d.refine(&block[k], bit)
				continue
			}
			if run == 0 {
				break
			}
			run--
		}
		if value != 0 {
			if k > area.last {
				return errCode()
			}
			block[k] = value
		}
		k++
	}
	if d.endOfBand > 0 {
		d.endOfBand--
		for ; k <= area.last; k++ {
			if block[k] != 0 {
				d.refine(&block[k], bit)
			}
		}
	}
	return nil
}

// refine reads the bit of a coefficient that is not 0, away from 0.
func (d *decoder) refine(coefficient *int16, bit int16) {
	switch {
	case d.bits.take(1) == 0:
	case *coefficient > 0:
		*coefficient += bit
	default:
		*coefficient -= bit
	}
}

// reconstruct makes the planes of a progressive picture's coefficients.
func (d *decoder) reconstruct() error {
	var block [64]int32
	for i := range d.components {
		c := &d.components[i]
		stride := 8 * c.blocksAcross
		for y := range c.blocksHigh {
			if err := d.ctx.Err(); err != nil {
				return err
			}
			for x := range c.blocksWide {
				for k, v := range c.coefficients[y*c.blocksAcross+x] {
					place := zigzag[k]
					block[place] = int32(v) * c.steps[place]
				}
				inverse(&block, c.plane[8*y*stride+8*x:], stride)
			}
		}
		c.coefficients = nil
	}
	return nil
}
