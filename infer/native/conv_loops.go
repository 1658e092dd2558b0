package native

import "slipway/onnx/onnxpb"

// loops computes any convolution, row-major: for each filter and tap, a row of
// the output gains a row of the input times the weight.
func (c *convolution) loops(r *run, in, w *Tensor, bias []float32, f frame) (*Tensor, error) {
	x, err := r.rowMajor(in)
	if err != nil {
		return nil, err
	}
	defer r.release(x)
	images, channels, filters := x.Shape[0], x.Shape[1], w.Shape[0]
	y, err := r.tensor(onnxpb.TensorProto_FLOAT, append([]int{images, filters}, f.out...))
	if err != nil {
		return nil, err
	}
	dst, src, weights := y.Data.([]float32), x.Data.([]float32), w.Data.([]float32)
	outArea, inArea, taps := product(f.out), product(f.in), product(f.kernel)
	perGroup := w.Shape[1]
	err = r.split(images*filters, outArea*taps*perGroup, func(first, last int) {
		for i := first; i < last; i++ {
			n, o := i/filters, i%filters
			plane := dst[i*outArea : (i+1)*outArea]
			start := float32(0)
			if bias != nil {
				start = bias[o]
			}
			for k := range plane {
				plane[k] = start
			}
			channel := o / (filters / c.group) * perGroup
			for k := range perGroup {
				if r.ctx.Err() != nil {
					return
				}
				f.addPlane(plane, src[(n*channels+channel+k)*inArea:][:inArea],
					weights[(o*perGroup+k)*taps:][:taps])
			}
		}
	})
	if err != nil {
		r.release(y)
		return nil, err
	}
	return y, nil
}

// addPlane adds to an output plane an input plane convolved with one kernel.
func (f frame) addPlane(dst, src, weights []float32) {
	if len(dst) == 0 || len(src) == 0 {
		return
	}
	last := len(f.in) - 1
	rows, stride, dilation, begin := f.out[:last], f.strides[last], f.dilations[last], f.begin[last]
	width, inWidth, kernel := f.out[last], f.in[last], f.kernel[last]
	outer := frame{kernel: f.kernel[:last], strides: f.strides[:last], dilations: f.dilations[:last],
		begin: f.begin[:last], in: f.in[:last]}
	position := make([]int, last)
	for row := 0; ; row++ {
		out := dst[row*width : (row+1)*width]
		outer.taps(position, func(tap, index int) {
			in := src[index*inWidth : (index+1)*inWidth]
			for k := range kernel {
				weight := weights[tap*kernel+k]
				// Output j reads input j·stride + shift, which must be inside.
				shift := k*dilation - begin
				from := 0
				if shift < 0 {
					from = (-shift + stride - 1) / stride
				}
				if shift >= inWidth {
					continue
				}
				to := min(width, (inWidth-1-shift)/stride+1)
				for j := from; j < to; j++ {
					out[j] += weight * in[j*stride+shift]
				}
			}
		})
		if !next(position, rows) {
			return
		}
	}
}
