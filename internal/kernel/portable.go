package kernel

import (
	"math"
	"unsafe"
)

const (
	portableLanes = 8
	portablePanel = 2 * portableLanes
)

// portableSet is the loops in Go, with the same argument blocks and layouts as the assembly.
func portableSet() *Set {
	s := &Set{
		name: "portable", lanes: portableLanes,
		productWide: portableProduct, productNarrow: portableProductNarrow,
		rowsWide: portableRowsWide, rowsNarrow: portableRowsNarrow,
		poolMaximum: portablePoolMax, poolMaxima: portablePoolMaxima,
		poolAverage: portablePoolAverage, poolSpread: portablePoolSpread,
		gather8: portableGather8, list: portableList, transpose8: portableTranspose8,
		copyPanel: portableCopyPanel,
		relu:      portableReLU, reluGradient: portableReLUGradient, multiply: portableMultiply,
		addScaled: portableAddScaled, bytes: portableBytes, sums: portableSums, penalty: portablePenalty,
		prefetch: func(*float32, int) {}, winograd: portableWinograd(),
		normalise: portableNormalise(portableLanes),
		depthwise: portableDepthwise, depthwiseGradient: portableDepthwiseGradient,
		addClamped:  portableAddClamped,
		interleave3: portableInterleave3,
		gateBy:      portableGateBy, clamp: portableClamp, copyVectors: portableCopyVectors,
		affine: portableAffine, row: portableRow,
		adam: portableAdam, sgd: portableSGD, lion: portableLion, rmsprop: portableRMSProp,
	}
	for rows := 1; rows <= 5; rows++ {
		for vectors := 1; rows*vectors <= 12; vectors++ {
			s.sparseBlocks[rows][vectors] = func(args *byte) { portableSparse(rows, vectors, args) }
		}
	}
	for vectors := 1; vectors <= stripVectors; vectors++ {
		s.sparseRows[vectors] = func(args *byte) { portableSparseRow(vectors, args) }
	}
	return s
}

func floatAt(p unsafe.Pointer, bytes int) *float32 { return (*float32)(unsafe.Add(p, bytes)) }

func floats(p *float32, n int) []float32 { return unsafe.Slice(p, n) }

func portableProduct(args *byte) { portableProductPanel(args, portablePanel) }

func portableProductNarrow(args *byte) { portableProductPanel(args, portableLanes) }

func portableProductPanel(args *byte, width int) {
	a := (*productArgs)(unsafe.Pointer(args))
	aOffsets, cOffsets := unsafe.Slice(a.AOffsets, a.M), unsafe.Slice(a.COffsets, a.M)
	for r := range a.M {
		var sums [portablePanel]float32
		portableStart(a, sums[:width], cOffsets[r])
		for first := 0; first < width; first += portableLanes {
			portableProductColumns(a, unsafe.Add(a.A, aOffsets[r]), 4*first,
				(*[portableLanes]float32)(sums[first:]))
		}
		portableFinish(a, sums[:width], cOffsets[r])
	}
}

// portableProductColumns adds to eight columns' sums, which stay in registers.
func portableProductColumns(a *productArgs, row unsafe.Pointer, column int,
	sums *[portableLanes]float32) {
	s0, s1, s2, s3, s4, s5, s6, s7 := sums[0], sums[1], sums[2], sums[3], sums[4], sums[5], sums[6],
		sums[7]
	index, b := 0, column
	for range max(1, a.Groups) {
		for range a.Runs {
			for range a.Length {
				x := *floatAt(row, index)
				line := (*[portableLanes]float32)(unsafe.Add(a.B, b))
				s0 += x * line[0]
				s1 += x * line[1]
				s2 += x * line[2]
				s3 += x * line[3]
				s4 += x * line[4]
				s5 += x * line[5]
				s6 += x * line[6]
				s7 += x * line[7]
				index += a.AStep
				b += a.BStep
			}
			index += a.AJump
			b += a.BJump
		}
		index += a.AGroupJump
		b += a.BGroupJump
	}
	*sums = [portableLanes]float32{s0, s1, s2, s3, s4, s5, s6, s7}
}

func portableStart(a *productArgs, sum []float32, offset int64) {
	if a.Init != nil {
		copy(sum, floats((*float32)(a.Init), len(sum)))
		return
	}
	for j := range portableColumns(a.Mask, len(sum)) {
		sum[j] = *floatAt(a.C, int(offset)+4*j)
	}
}

func portableFinish(a *productArgs, sum []float32, offset int64) {
	for j := range portableColumns(a.Mask, len(sum)) {
		v := sum[j]
		if a.Add != nil {
			v += *floatAt(a.Add, int(offset)+4*j)
		}
		if v < a.Floor {
			v = a.Floor
		}
		if math.Float32bits(a.Ceiling) != 0 && v > a.Ceiling {
			v = a.Ceiling
		}
		*floatAt(a.C, int(offset)+4*j) = portableGate(v, a.Gate)
	}
}

// portableColumns counts the leading elements of a mask that are set.
func portableColumns(mask unsafe.Pointer, n int) int {
	if mask == nil {
		return n
	}
	count := 0
	for _, m := range unsafe.Slice((*int32)(mask), n) {
		if m != 0 {
			count++
		}
	}
	return count
}

func portableSparse(rows, vectors int, args *byte) {
	a := (*sparseArgs)(unsafe.Pointer(args))
	n := (vectors-1)*portableLanes + portableColumns(a.Mask, portableLanes)
	for _, bucket := range unsafe.Slice(a.Buckets, a.Count) {
		items := unsafe.Slice((*item)(unsafe.Add(unsafe.Pointer(a.Items), bucket.start)), bucket.count)
		for _, piece := range unsafe.Slice(a.Shifts, a.Pieces) {
			for r := range rows {
				dst := floats(floatAt(a.Dst, piece.dst+int(bucket.dst)+r*a.DstRow), n)
				for _, it := range items {
					src := floats(floatAt(a.Src, piece.src+int(it.src)+r*a.SrcRow), n)[:len(dst)]
					for j := range dst {
						dst[j] += it.value * src[j]
					}
				}
			}
		}
	}
}

func portableSparseRow(vectors int, args *byte) {
	a := (*sparseRowArgs)(unsafe.Pointer(args))
	n := (vectors-1)*portableLanes + portableColumns(a.Mask, portableLanes)
	for r, l := range unsafe.Slice(a.Lists, a.Rows) {
		c := floats(floatAt(a.C, r*a.CStep), n)
		if a.Start != nil {
			copy(c, floats((*float32)(a.Start), n))
		}
		for _, it := range unsafe.Slice((*item)(unsafe.Add(unsafe.Pointer(a.Items), l.start)), l.count) {
			b := floats(floatAt(a.B, int(it.src)), n)[:len(c)]
			for j := range c {
				c[j] += it.value * b[j]
			}
		}
		for j, v := range c {
			if v < a.Floor {
				c[j] = a.Floor
			}
		}
	}
}

func portableList(items *byte, x *float32, n int, step int32) int {
	list, count := unsafe.Slice((*item)(unsafe.Pointer(items)), n), 0
	for i, v := range floats(x, n) {
		list[count] = item{v, int32(i) * step}
		count += nonZero(v)
	}
	return count
}

func portablePoolMax(args *byte) {
	a := (*poolArgs)(unsafe.Pointer(args))
	entries := unsafe.Slice(a.Entries, a.Windows*a.Elements)
	for w := range a.Windows {
		window := entries[w*a.Elements : (w+1)*a.Elements]
		y := floats(floatAt(a.Y, w*a.YStep), a.Vectors*portableLanes)
		index := unsafe.Slice((*uint16)(unsafe.Add(a.Index, w*a.IndexStep)), len(y))
		for c := range y {
			y[c], index[c] = poolWindow(a.Src, window, c, a.Floor)
		}
	}
}

func portablePoolMaxima(args *byte) {
	a := (*poolArgs)(unsafe.Pointer(args))
	entries := unsafe.Slice(a.Entries, a.Windows*a.Elements)
	for w := range a.Windows {
		window := entries[w*a.Elements : (w+1)*a.Elements]
		for c, y := 0, floats(floatAt(a.Y, w*a.YStep), a.Vectors*portableLanes); c < len(y); c++ {
			y[c], _ = poolWindow(a.Src, window, c, nan32)
		}
	}
}

// poolWindow is the maximum over a window of one channel.
func poolWindow(src unsafe.Pointer, window []poolEntry, channel int, floor float32) (float32,
	uint16) {
	top, where := *floatAt(src, int(window[0].src)+4*channel), window[0].position
	for _, e := range window[1:] {
		if v := *floatAt(src, int(e.src)+4*channel); v > top || v != v {
			top, where = v, e.position
		}
	}
	if top <= floor {
		where = positionNone
	}
	if top < floor {
		top = floor
	}
	return top, uint16(where)
}

func portablePoolAverage(args *byte) {
	a := (*averageArgs)(unsafe.Pointer(args))
	portableWindows(a, func(y *float32, window []poolEntry, channel int) {
		sum := float32(0)
		for _, e := range window {
			sum += *floatAt(a.X, int(e.src)+4*channel)
		}
		*y = sum / a.Divisor
	})
}

func portablePoolSpread(args *byte) {
	a := (*averageArgs)(unsafe.Pointer(args))
	portableWindows(a, func(y *float32, window []poolEntry, channel int) {
		part := *y / a.Divisor
		for _, e := range window {
			*floatAt(a.X, int(e.src)+4*channel) += part
		}
	})
}

// portableWindows calls f for each window and channel.
func portableWindows(a *averageArgs, f func(y *float32, window []poolEntry, channel int)) {
	entries := unsafe.Slice(a.Entries, a.Windows*a.Elements)
	channels := (a.Vectors-1)*portableLanes + portableColumns(a.Mask, portableLanes)
	for w := range a.Windows {
		for c := range channels {
			f(floatAt(a.Y, w*a.YStep+4*c), entries[w*a.Elements:(w+1)*a.Elements], c)
		}
	}
}

func portableGather8(args *byte) {
	a := (*gatherArgs)(unsafe.Pointer(args))
	for w := range a.Windows {
		gradients := (*[8]float32)(unsafe.Add(a.Gradient, w*a.GradientStep))
		index := (*[8]uint16)(unsafe.Add(a.Index, w*a.IndexStep))
		for k, g := range gradients {
			if index[k] == positionNone || g == 0 {
				continue
			}
			position := *(*int32)(unsafe.Add(a.Positions, w*a.PositionStep+4*int(index[k])))
			*(*item)(unsafe.Add(unsafe.Pointer(a.Items), 8*a.Cursors[k])) = item{value: g,
				src: int32(a.Base) + position}
			a.Cursors[k]++
			a.Sums[k] += g
		}
	}
}

func portableTranspose8(dst *float32, dstStep int, src *float32, srcStep int, blocks int) {
	for i := range 8 {
		row := floats(floatAt(unsafe.Pointer(src), i*srcStep), 8*blocks)
		for j, x := range row {
			*floatAt(unsafe.Pointer(dst), j*dstStep+4*i) = x
		}
	}
}

func portableCopyPanel(dst, src *float32, srcStep, rows int) {
	for r := range rows {
		*(*[portablePanel]float32)(unsafe.Add(unsafe.Pointer(dst), 4*portablePanel*r)) =
			*(*[portablePanel]float32)(unsafe.Add(unsafe.Pointer(src), srcStep*r))
	}
}

func portableReLU(y, x *float32, n int) {
	out := floats(y, n)
	for i, v := range floats(x, n) {
		if v < 0 {
			v = 0
		}
		out[i] = v
	}
}

func portableReLUGradient(dx, dy, y *float32, n int) {
	out, in := floats(dx, n), floats(dy, n)
	for i, v := range floats(y, n) {
		if v <= 0 {
			out[i] = 0
		} else {
			out[i] = in[i]
		}
	}
}

func portableMultiply(z, x, y *float32, n int) {
	out, b := floats(z, n), floats(y, n)
	for i, v := range floats(x, n) {
		out[i] = v * b[i]
	}
}

func portableAddScaled(y, x *float32, n int, scale float32) {
	out := floats(y, n)
	for i, v := range floats(x, n) {
		out[i] += scale * v
	}
}

func portableBytes(y *float32, x *uint8, n int, scale, offset float32) {
	out := floats(y, n)
	for i, v := range unsafe.Slice(x, n) {
		out[i] = scale*float32(v) + offset
	}
}

func portableSums(out, x *float32, n int) {
	sums := floats(out, 2*portableLanes)
	clear(sums)
	for i, v := range floats(x, n) {
		sums[i%portableLanes] += float32(math.Abs(float64(v)))
		sums[portableLanes+i%portableLanes] += v * v
	}
}

func portablePenalty(g, p *float32, n int, l1, scale float32) {
	out := floats(g, n)
	for i, v := range floats(p, n) {
		sign := float32(0)
		switch {
		case v < 0:
			sign = -l1
		case v != 0:
			sign = l1
		}
		out[i] = out[i] + sign + scale*v
	}
}

func root(x float32) float32 { return float32(math.Sqrt(float64(x))) }

// flushed is 0 for what is nearer to it than 2⁻¹²⁶. The means of a gradient that stays 0 shrink to
// such numbers and remain there, and many cores compute with them in hundreds of cycles. Weights and
// gradients are taken so, too, as other sets' instructions do: a tensor's last elements, of which
// there is no whole vector, are computed here with those sets as well.
func flushed(x float32) float32 {
	const smallestNormal = 0x1p-126
	if x > -smallestNormal && x < smallestNormal {
		return 0
	}
	return x
}

func portableAdam(p, g, m, v *float32, n int, args *byte) {
	c := (*adamConstants)(unsafe.Pointer(args))
	ps, gs, ms, vs := floats(p, n), floats(g, n), floats(m, n), floats(v, n)
	for i := range ps {
		w, dw := flushed(flushed(ps[i])*c.keep), flushed(gs[i])
		if c.decayed != 0 {
			dw = flushed(dw + c.decay*w)
		}
		ms[i] = flushed(ms[i] + (dw-ms[i])*c.rate1)
		vs[i] = flushed(vs[i]*c.beta2 + dw*c.rate2*dw)
		ps[i] = flushed(w - ms[i]*c.step/(root(vs[i])*c.correction+c.epsilon))
	}
}

func portableLion(p, g, m *float32, n int, args *byte) {
	c := (*lionConstants)(unsafe.Pointer(args))
	ps, gs, ms := floats(p, n), floats(g, n), floats(m, n)
	for i := range ps {
		difference, sign := gs[i]-ms[i], float32(0)
		switch u := ms[i] + difference*c.rate1; {
		case u > 0:
			sign = 1
		case u < 0:
			sign = -1
		case u != 0:
			sign = u // NaN
		}
		ms[i] += difference * c.rate2
		ps[i] = ps[i]*c.keep - sign*c.step
	}
}

func portableSGD(p, g, b *float32, n int, args *byte) {
	c := (*sgdConstants)(unsafe.Pointer(args))
	ps, gs := floats(p, n), floats(g, n)
	var bs []float32
	if c.buffered != 0 {
		bs = floats(b, n)
	}
	for i := range ps {
		w, dw := flushed(ps[i]), flushed(gs[i])
		if c.decayed != 0 {
			dw = flushed(dw + c.decay*w)
		}
		if c.buffered != 0 {
			buffer := dw
			if c.first == 0 {
				buffer = bs[i]*c.momentum + c.fresh*dw
			}
			buffer = flushed(buffer)
			bs[i] = buffer
			if c.nesterov != 0 {
				dw = flushed(dw + c.momentum*buffer)
			} else {
				dw = buffer
			}
		}
		ps[i] = flushed(w - c.rate*dw)
	}
}

func portableRMSProp(p, g, s, a, b *float32, n int, args *byte) {
	c := (*rmspropConstants)(unsafe.Pointer(args))
	ps, gs, ss := floats(p, n), floats(g, n), floats(s, n)
	var as, bs []float32
	if c.centred != 0 {
		as = floats(a, n)
	}
	if c.buffered != 0 {
		bs = floats(b, n)
	}
	for i := range ps {
		w, dw := flushed(ps[i]), flushed(gs[i])
		if c.decayed != 0 {
			dw = flushed(dw + c.decay*w)
		}
		ss[i] = flushed(ss[i]*c.alpha + dw*c.rest*dw)
		square := ss[i]
		if c.centred != 0 {
			as[i] = flushed(as[i] + (dw-as[i])*c.rest)
			square -= as[i] * as[i]
		}
		dw = flushed(dw / (root(square) + c.epsilon))
		if c.buffered != 0 {
			bs[i] = flushed(bs[i]*c.momentum + dw)
			dw = bs[i]
		}
		ps[i] = flushed(w - c.rate*dw)
	}
}
