package native

import (
	"fmt"
	"math"
	"slices"
)

// window is the attributes of a Conv or a pooling, whatever the input's size.
type window struct {
	kernel             []int // nil until the weight says it
	strides, dilations []int // nil for 1 everywhere
	pads               []int // begin of each dimension, then end; nil for none
	autoPad            string
	ceil               bool
}

// frame is a window that slides over an input of one size.
type frame struct {
	kernel, strides, dilations []int
	begin, end                 []int // padding
	in, out                    []int // sizes
}

func windowOf(n *node) (window, error) {
	w := window{autoPad: n.text("auto_pad", "NOTSET"), ceil: n.integer("ceil_mode", 0) != 0}
	for _, list := range []struct {
		name  string
		to    *[]int
		least int64
	}{{"kernel_shape", &w.kernel, 1}, {"strides", &w.strides, 1}, {"dilations", &w.dilations, 1},
		{"pads", &w.pads, 0}} {
		values, given := n.list(list.name)
		if !given {
			continue
		}
		*list.to = make([]int, len(values))
		for i, v := range values {
			if v < list.least || v > math.MaxInt32 {
				return w, fmt.Errorf("attribute %s = %v: each must be %d…2^31-1", list.name, values, list.least)
			}
			(*list.to)[i] = int(v)
		}
	}
	switch w.autoPad {
	case "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER":
	default:
		return w, fmt.Errorf("attribute auto_pad = %s is not supported", shorten(w.autoPad))
	}
	return w, nil
}

// over returns the window's frame for an input of the given spatial sizes.
func (w window) over(in []int) (frame, error) {
	ones := make([]int, len(in))
	for i := range ones {
		ones[i] = 1
	}
	f := frame{kernel: w.kernel, strides: w.strides, dilations: w.dilations, in: in,
		begin: make([]int, len(in)), end: make([]int, len(in)), out: make([]int, len(in))}
	if f.strides == nil {
		f.strides = ones
	}
	if f.dilations == nil {
		f.dilations = ones
	}
	if len(f.kernel) != len(in) || len(f.strides) != len(in) || len(f.dilations) != len(in) ||
		w.pads != nil && len(w.pads) != 2*len(in) {
		return f, fmt.Errorf(
			"kernel_shape, strides, dilations or pads are not for the %d spatial dimensions of the input",
			len(in))
	}
	for i, size := range in {
		// At most 2^31·2^31: no overflow.
		extent := (f.kernel[i]-1)*f.dilations[i] + 1
		stride := f.strides[i]
		switch w.autoPad {
		case "SAME_UPPER", "SAME_LOWER":
			f.out[i] = (size + stride - 1) / stride
			total := max(0, (f.out[i]-1)*stride+extent-size)
			f.begin[i] = total / 2
			if w.autoPad == "SAME_LOWER" {
				f.begin[i] = total - total/2
			}
			f.end[i] = total - f.begin[i]
			continue
		case "NOTSET":
			if w.pads != nil {
				f.begin[i], f.end[i] = w.pads[i], w.pads[i+len(in)]
			}
		}
		room := size + f.begin[i] + f.end[i] - extent
		if room < 0 {
			return f, fmt.Errorf("the kernel spans %d, but the padded input is only %d long in dimension %d",
				extent, room+extent, i+2)
		}
		f.out[i] = room/stride + 1
		if w.ceil && room%stride != 0 && f.out[i]*stride < size+f.begin[i] {
			// One more window, unless it would lie in the padding at the end alone: ONNX
			// says so since opset 22, PyTorch and onnxruntime for all.
			f.out[i]++
		}
	}
	if _, err := countElements(f.out); err != nil {
		return f, err
	}
	return f, nil
}

// lastFrame is the frame of the input that a session saw last.
type lastFrame struct {
	frame frame
	known bool
}

// framed keeps it.
type framed struct{ kept kept[lastFrame] }

// over is window.over, worked out anew where the sizes are others than before.
func (k *framed) over(r *run, w window, in []int) (frame, error) {
	last := k.kept.of(r)
	if last.known && slices.Equal(last.frame.in, in) && slices.Equal(last.frame.kernel, w.kernel) {
		return last.frame, nil
	}
	w.kernel = slices.Clone(w.kernel)
	f, err := w.over(slices.Clone(in))
	last.frame, last.known = f, err == nil
	return f, err
}

// plain reports whether the kernels' plans can compute the frame: one or two
// dimensions, nothing dilated.
func (f frame) plain() bool {
	for _, d := range f.dilations {
		if d != 1 {
			return false
		}
	}
	return len(f.in) == 1 || len(f.in) == 2
}

// extends reports whether nothing is cut off, and the padding behind is at least that in front.
func (f frame) extends() bool {
	for i := range f.in {
		if f.begin[i] < 0 || f.end[i] < f.begin[i] {
			return false
		}
	}
	return true
}

// extra is how much more padding there is behind than in front.
func (f frame) extra() (height, width int) {
	beginHeight, beginWidth := pair(f.begin, 0)
	endHeight, endWidth := pair(f.end, 0)
	return endHeight - beginHeight, endWidth - beginWidth
}

// symmetric reports whether the padding is the same on both sides. What a stride
// leaves over at the end does not count.
func (f frame) symmetric() bool {
	for i := range f.in {
		if (f.in[i]+2*f.begin[i]-f.kernel[i]) < 0 || (f.in[i]+2*f.begin[i]-f.kernel[i])/f.strides[i]+
			1 != f.out[i] {
			return false
		}
	}
	return true
}

// pair returns sizes of one or two dimensions as height and width.
func pair(sizes []int, otherwise int) (height, width int) {
	if len(sizes) == 1 {
		return otherwise, sizes[0]
	}
	return sizes[0], sizes[1]
}

// taps calls visit for the kernel positions of an output position that lie inside
// the input, with the tap's number and the input's index.
func (f frame) taps(position []int, visit func(tap, index int)) {
	f.tap(0, 0, 0, position, visit)
}

func (f frame) tap(dimension, tap, index int, position []int, visit func(tap, index int)) {
	if dimension == len(f.in) {
		visit(tap, index)
		return
	}
	at, dilation := position[dimension]*f.strides[dimension]-f.begin[dimension], f.dilations[dimension]
	// From the first tap inside to the last: a file may say that a kernel is 2^31 long.
	first := 0
	if at < 0 {
		first = (-at + dilation - 1) / dilation
	}
	for k := first; k < f.kernel[dimension]; k++ {
		i := at + k*dilation
		if i >= f.in[dimension] {
			return
		}
		f.tap(dimension+1, tap*f.kernel[dimension]+k, index*f.in[dimension]+i, position, visit)
	}
}

// planeCost is how many taps a plane's windows have at most inside the input. Neither
// factor is more than maxElements: no overflow.
func (f frame) planeCost() int {
	taps := 1
	for i, k := range f.kernel {
		taps *= min(k, f.in[i])
	}
	return product(f.out) * taps
}

// next moves a position on in row-major order; false after the last.
func next(position, sizes []int) bool {
	for i := len(sizes) - 1; i >= 0; i-- {
		if position[i]++; position[i] < sizes[i] {
			return true
		}
		position[i] = 0
	}
	return false
}
