package kernel

import "unsafe"

// pairs reports whether a panel goes together with the next one.
func (c *Conv2D) pairs(panel int) bool {
	return panel+1 < c.columns.count() && c.columns.whole(panel+1) && c.engine.Set.productPair != nil
}

// arrange fills in what a part of the sums of a panel is made of, but where it is read and written.
func (c *Conv2D) arrange(a *productArgs, aOffsets, cOffsets []int64, panel, part int) {
	p, width := &c.parts[part], c.columns.width(panel)
	*a = productArgs{
		AOffsets: &aOffsets[0], COffsets: &cOffsets[0],
		B:    pointer(c.packed[c.columns.first(panel)*c.depth+p.bRow*width:]),
		Runs: p.runs, Length: p.length, AStep: 4, AJump: p.aJump, BStep: 4 * width,
		Floor: nan32,
	}
	// The next call reads the next part's weights, or the next panel's.
	bytes := uintptr(4 * p.runs * p.length * width)
	a.Fetch = uintptr(a.B) + bytes
	a.FetchEnd, a.FetchStep = a.Fetch+bytes, cacheLine*p.runs*p.length
	if part == 0 {
		a.Init = pointer(c.bias[c.columns.first(panel):])
	}
}

// multiply computes a panel, or that and the next one.
func (c *Conv2D) multiply(a *productArgs, width int, pair bool) {
	if !pair {
		c.engine.Set.productPanel(a, width)
		return
	}
	a.Panel = 4 * c.depth * width
	c.engine.Set.productPair((*byte)(unsafe.Pointer(a)))
}

// tileRows returns the rows of the register tile that most of the filters are multiplied with.
func (c *Conv2D) tileRows() int {
	if c.engine.Set.lanes == maxLanes && !c.pairs(0) {
		return 8
	}
	return 6
}

// newPointwise returns the plan of a convolution of one tap with constant weights, by which others
// multiply positions of theirs.
func newPointwise(engine Engine, channels, filters int, finish Finish) (*Conv2D, error) {
	c, err := NewConv2D(engine, Conv2DConfig{
		Batch: 1, Height: 1, Width: 1, Channels: channels, Filters: filters, KernelHeight: 1,
		KernelWidth: 1, StrideHeight: 1, StrideWidth: 1, Direct: true, ConstantWeights: true,
	})
	if err != nil {
		return nil, err
	}
	c.Finish(finish)
	return c, nil
}

// positions are some places of a map, of which a pointwise convolution reads rows of channels and
// writes others: offsets in bytes.
type positions struct{ from, to []int64 }

// pointwise computes the first n of some positions for the plan of another one, of a convolution of
// one tap whose weights it packed: from source into y, of which add is nil or what is added. The
// sums are those of Forward.
func (c *Conv2D) pointwise(a *productArgs, at *positions, n int, source, y, add unsafe.Pointer) {
	c.pointwisePanels(a, at, n, source, y, add, 0, c.columns.count())
}

// pointwisePanels is pointwise for panels first to last; y and add begin with the first one's
// filters.
func (c *Conv2D) pointwisePanels(a *productArgs, at *positions, n int, source, y,
	add unsafe.Pointer, first, last int) {
	for panel := first; panel < last; panel++ {
		pair, column := panel+1 < last && c.pairs(panel), 4*c.columns.first(panel-first)
		for k := range c.parts {
			c.arrange(a, at.from, at.to, panel, k)
			a.A, a.C, a.M = unsafe.Add(source, c.parts[k].aShift), unsafe.Add(y, column), n
			a.Mask = c.columns.mask(panel)
			if k == len(c.parts)-1 {
				c.finish.store(a, 0)
				if add != nil {
					a.Add = unsafe.Add(add, column)
				}
			}
			c.multiply(a, c.columns.width(panel), pair)
		}
		if pair {
			panel++
		}
	}
}
