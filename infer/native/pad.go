package native

import (
	"errors"
	"fmt"
	"slices"
)

// padding is Pad. Its pads are an attribute before opset 11 and an input since;
// negative ones crop.
type padding struct {
	mode  string
	pads  []int64
	value *Tensor // before opset 11
}

func makePad(n *node) (operation, error) {
	p := &padding{mode: n.text("mode", "constant")}
	switch p.mode {
	case "constant", "reflect", "edge", "wrap":
	default:
		return nil, fmt.Errorf("attribute mode = %s is not supported", shorten(p.mode))
	}
	var given bool
	if p.pads, given = n.list("pads"); given != (n.opset < 11) || given == n.has(1) {
		return nil, errors.New("its pads are an attribute before opset 11 and an input since")
	}
	if n.opset < 11 {
		p.value = &Tensor{Data: []float32{n.number("value", 0)}}
	} else if n.attribute("value") != nil {
		return nil, errors.New("attribute value is an input since opset 11")
	}
	return ordered(p.run), nil
}

func (p *padding) run(r *run, in []*Tensor) ([]*Tensor, error) {
	x := in[0]
	rank := len(x.Shape)
	begin, end, err := p.sizes(in, rank)
	if err != nil {
		return nil, err
	}
	shape := slices.Clone(x.Shape)
	for i := range shape {
		if shape[i] += begin[i] + end[i]; shape[i] < 0 {
			return nil, fmt.Errorf("its pads crop more than the %d of dimension %d", x.Shape[i], i)
		}
		grown := begin[i] > 0 || end[i] > 0
		if p.mode != "constant" && grown && x.Shape[i]+min(0, begin[i])+min(0, end[i]) < 1 {
			return nil, fmt.Errorf("mode %s has nothing to pad dimension %d with", p.mode, i)
		}
	}
	y, err := r.tensor(x.Type(), shape)
	if err != nil {
		return nil, err
	}
	if p.mode == "constant" {
		return r.list(y), p.constant(r, y, x, in, begin, end)
	}
	// One dimension after the other; for each index of the output, the input's.
	from := x
	for i := range rank {
		partial := slices.Clone(from.Shape)
		partial[i] = shape[i]
		to := y
		if i < rank-1 {
			if to, err = r.tensor(x.Type(), partial); err != nil {
				r.release(y)
				if from != x {
					r.release(from)
				}
				return nil, err
			}
		}
		outer, inner := product(partial[:i]), product(partial[i+1:])
		for k := range shape[i] {
			at := p.source(k-begin[i], x.Shape[i], begin[i], end[i])
			copyStrided(to, from, region{shape: []int{outer, inner}, dst: []int{shape[i] * inner, 1},
				src:       []int{x.Shape[i] * inner, 1},
				dstOffset: k * inner, srcOffset: at * inner})
		}
		if from != x {
			r.release(from)
		}
		from = to
	}
	if rank == 0 {
		fill(y, x)
	}
	return r.list(y), nil
}

// sizes returns the padding of each dimension.
func (p *padding) sizes(in []*Tensor, rank int) (begin, end []int, err error) {
	pads := p.pads
	if len(in) > 1 && in[1] != nil {
		if pads, err = in[1].integers(); err != nil {
			return nil, nil, err
		}
	}
	axes := make([]int64, 0, rank)
	if len(in) > 3 && in[3] != nil {
		if axes, err = in[3].integers(); err != nil {
			return nil, nil, err
		}
	} else {
		for i := range rank {
			axes = append(axes, int64(i))
		}
	}
	if _, err := axesOf(axes, rank); err != nil {
		return nil, nil, err
	}
	if len(pads) != 2*len(axes) {
		return nil, nil, fmt.Errorf("it has %d pads for %d axes", len(pads), len(axes))
	}
	begin, end = make([]int, rank), make([]int, rank)
	for i, a := range axes {
		axis, err := axisOf(a, rank)
		if err != nil {
			return nil, nil, err
		}
		for _, v := range []int64{pads[i], pads[i+len(axes)]} {
			if v < -maxElements || v > maxElements {
				return nil, nil, fmt.Errorf("its pads %v are beyond 2^31", pads)
			}
		}
		begin[axis], end[axis] = int(pads[i]), int(pads[i+len(axes)])
	}
	return begin, end, nil
}

// constant fills y and copies what is left of x into it.
func (p *padding) constant(r *run, y, x *Tensor, in []*Tensor, begin, end []int) error {
	value := p.value
	if value == nil {
		value = &Tensor{Data: []float32{0}}
	}
	if len(in) > 2 && in[2] != nil {
		value = in[2]
	}
	if value.elements() != 1 {
		return fmt.Errorf("its value %v is not a single number", value)
	}
	value, err := r.cast(&Tensor{Data: value.Data}, x.Type())
	if err != nil {
		return err
	}
	defer r.release(value)
	fill(y, value)
	to, from, kept := strides(y.Shape), strides(x.Shape), slices.Clone(x.Shape)
	g := region{dst: to, src: from}
	for i := range kept {
		kept[i] += min(0, begin[i]) + min(0, end[i])
		if kept[i] <= 0 {
			return nil
		}
		g.dstOffset += max(0, begin[i]) * to[i]
		g.srcOffset += max(0, -begin[i]) * from[i]
	}
	g.shape = kept
	copyStrided(y, x, g)
	return nil
}

// source returns the index of the input that index at of the padded input, from
// −begin on, shows. What negative pads crop is no part of what is mirrored.
func (p *padding) source(at, size, begin, end int) int {
	low, high := max(0, -begin), size-max(0, -end) // of what is kept
	count := high - low
	at -= low
	switch p.mode {
	case "edge":
		at = min(max(at, 0), count-1)
	case "wrap":
		at = (at%count + count) % count
	default: // reflect: the border itself is not repeated
		if count == 1 {
			at = 0
			break
		}
		period := 2 * (count - 1)
		at = (at%period + period) % period
		if at >= count {
			at = period - at
		}
	}
	return low + at
}
