package picture

import "math"

// The weights of a resized pixel are integers with as many binary places as leave room for the
// sums: 8 bits of a pixel, 2 for what a filter adds to both sides of it.
const (
	places = 32 - 8 - 2
	half   = 1 << (places - 1)
)

// taps are, for each pixel of a resized row or column, the source pixels that it is made of and
// their weights.
type taps struct {
	starts  []int   // the first source pixel
	counts  []int   // how many
	weights []int32 // each pixel's, size apart
	size    int
	exact   []float64 // one pixel's weights before they are rounded
}

// compute follows Pillow's precompute_coeffs and normalize_coeffs_8bpc, for the pixels first to
// first+n−1 of the result: the source's part from low to high becomes result pixels.
func (t *taps) compute(source int, low, high float32, result, first, n int, filter Filter) {
	scale := float64(high-low) / float64(result)
	stretch := max(scale, 1)
	support := float64(filter.support() * stretch) // by itself, not fused with what is added to it
	// Pillow's size is larger by up to two, and never needed whole.
	t.size = min(2*int(math.Ceil(support))+1, source)
	t.starts, t.counts = atLeast(t.starts, n), atLeast(t.counts, n)
	t.weights, t.exact = atLeast(t.weights, n*t.size), atLeast(t.exact, t.size)
	inverse := 1 / stretch
	for i := range n {
		center := float64(low) + float64((float64(first+i)+0.5)*scale)
		start := max(int(center-support+0.5), 0)
		count := min(int(center+support+0.5), source) - start
		total := 0.0
		for x := range count {
			t.exact[x] = filter.weight(float64((float64(x+start) - center + 0.5) * inverse))
			total += t.exact[x]
		}
		weights := t.weights[i*t.size:][:count]
		for x := range weights {
			weight := t.exact[x]
			if total != 0 {
				weight /= total
			}
			weights[x] = int32(float64(weight*(1<<places)) + math.Copysign(0.5, weight))
		}
		t.starts[i], t.counts[i] = start, count
	}
}

// move makes taps of a part those of the whole, where the part begins at a pixel.
func (t *taps) move(by int) {
	if by == 0 {
		return
	}
	for i := range t.starts {
		t.starts[i] += by
	}
}

func (t *taps) weightsOf(i int) []int32 { return t.weights[i*t.size:][:t.counts[i]] }

// span is the part of the source that is needed at all.
func (t *taps) span() (first, last int) {
	end := len(t.starts) - 1
	return t.starts[0], t.starts[end] + t.counts[end]
}

// apply makes rows of the result of as many rows of the source.
func (t *taps) apply(out []uint8, width int, from []uint8, stride, rows int) {
	y := 0
	for ; y+4 <= rows; y += 4 {
		t.applyFour(out[y*width:][:4*width], width, from[y*stride:][:4*stride], stride)
	}
	for ; y < rows; y++ {
		t.applyOne(out[y*width:][:width], from[y*stride:][:stride])
	}
}

func (t *taps) applyOne(out, from []uint8) {
	for x, start := range t.starts {
		weights := t.weights[x*t.size:][:t.counts[x]]
		pixels := from[start:][:len(weights)]
		sum := int32(half)
		for i, weight := range weights {
			sum += int32(pixels[i]) * weight
		}
		out[x] = clipped(sum)
	}
}

// applyFour is applyOne for four rows, which share the loads of the weights.
func (t *taps) applyFour(out []uint8, width int, from []uint8, stride int) {
	from0, from1 := from[:stride], from[stride:2*stride]
	from2, from3 := from[2*stride:3*stride], from[3*stride:4*stride]
	out0, out1 := out[:width], out[width:2*width]
	out2, out3 := out[2*width:3*width], out[3*width:4*width]
	for x, start := range t.starts {
		weights := t.weights[x*t.size:][:t.counts[x]]
		n := len(weights)
		row0, row1 := from0[start:][:n], from1[start:][:n]
		row2, row3 := from2[start:][:n], from3[start:][:n]
		sum0, sum1, sum2, sum3 := int32(half), int32(half), int32(half), int32(half)
		for i, weight := range weights {
			sum0 += int32(row0[i]) * weight
			sum1 += int32(row1[i]) * weight
			sum2 += int32(row2[i]) * weight
			sum3 += int32(row3[i]) * weight
		}
		out0[x], out1[x], out2[x], out3[x] = clipped(sum0), clipped(sum1), clipped(sum2), clipped(sum3)
	}
}

// accumulate adds a weighted row to sums, which it begins where begin is true.
func accumulate(sums []int32, row []uint8, weight int32, begin bool) {
	row = row[:len(sums)]
	if begin {
		for x, v := range row {
			sums[x] = half + int32(v)*weight
		}
		return
	}
	for x, v := range row {
		sums[x] += int32(v) * weight
	}
}

// accumulateThree is accumulate for three rows, stride apart.
func accumulateThree(sums []int32, rows []uint8, stride int, weights []int32, begin bool) {
	row0, row1, row2 := rows[:len(sums)], rows[stride:][:len(sums)], rows[2*stride:][:len(sums)]
	weight0, weight1, weight2 := weights[0], weights[1], weights[2]
	if begin {
		for x, v := range row0 {
			sums[x] = half + int32(v)*weight0 + int32(row1[x])*weight1 + int32(row2[x])*weight2
		}
		return
	}
	for x, v := range row0 {
		sums[x] += int32(v)*weight0 + int32(row1[x])*weight1 + int32(row2[x])*weight2
	}
}

// clipped is a sum as a byte, rounded.
func clipped(sum int32) uint8 {
	v := sum >> places
	if uint32(v) > 255 {
		return uint8(^(v >> 31))
	}
	return uint8(v)
}
