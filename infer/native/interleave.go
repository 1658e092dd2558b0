package native

import "slipway/internal/kernel"

// interleavedSpan is how many positions an item of an interleaving has, about.
const interleavedSpan = 4 << 10

// interleaving transposes images of three rows, the planes of colour pictures: row after row of
// them, where the last one may be shorter.
type interleaving struct {
	engine       kernel.Engine
	dst, src     []float32
	plane, width int // of an image, and of its rows
	stride, step int // positions of dst from image to image, and from row to row
	first        int // where the first position lies
	rows, spans  int // of an item, and items of an image
}

// interleave interleaves images of so many positions by rows; what is said of dst is in positions.
func (r *run) interleave(dst, src []float32, plane, width, stride, step, first int) error {
	if plane == 0 || len(src) == 0 {
		return r.ctx.Err()
	}
	height := ceil(plane, width)
	rows := min(height, max(1, interleavedSpan/width))
	j := &r.jobs.interleave
	*j = interleaving{engine: r.engine, dst: dst, src: src, plane: plane, width: width, stride: stride,
		step: step, first: first, rows: rows, spans: ceil(height, rows)}
	return r.share(len(src)/(3*plane)*j.spans, 3*rows*width, j)
}

func (t *interleaving) compute(_, first, last int) {
	for i := first; i < last; i++ {
		planes, to := t.src[3*t.plane*(i/t.spans):], t.dst[3*(t.stride*(i/t.spans)+t.first):]
		top := i % t.spans * t.rows
		for row := top; row < min(ceil(t.plane, t.width), top+t.rows); row++ {
			at := row * t.width
			n := min(t.width, t.plane-at)
			t.engine.Interleave3(to[3*row*t.step:][:3*n], planes[at:][:n], planes[t.plane+at:][:n],
				planes[2*t.plane+at:][:n])
		}
	}
}

// interleaved returns colour pictures whose planes lie one after the other as a convolution with
// padding reads them, zeros around them, and nil where that is not what it reads: it copies them
// once.
func (c *convolution) interleaved(r *run, x *Tensor) (*Tensor, error) {
	b, ok := c.padding()
	if !ok || x.channelsLast || len(x.Shape) != 4 || x.Shape[1] != 3 || c.packed.Shape[1] != 3 ||
		x.size() == 0 || x.Shape[0] == 0 {
		return nil, nil
	}
	images, height, width := x.Shape[0], x.Shape[2], x.Shape[3]
	y, _, err := r.bordered(images, 3, x.Shape[2:], b)
	if err != nil {
		return nil, err
	}
	wide := width + 2*b.Horizontal
	return r.one(y, r.interleave(y.Data.([]float32), x.Data.([]float32), height*width, width,
		(height+2*b.Vertical)*wide, wide, b.Vertical*wide+b.Horizontal))
}
