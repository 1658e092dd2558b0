package reference

// AvgPool2DForward returns the mean of every window. Padding counts as zeros (count_include_pad,
// PyTorch's default), unless it is excluded.
func AvgPool2DForward[T Float](p Pool2D, x []T) []T {
	oh, ow := p.Output()
	sum := make([]float64, p.Batch*p.Channels*oh*ow)
	p.visit(func(yi, xi int) { sum[yi] += float64(x[xi]) })
	for i := range sum {
		sum[i] /= p.divisor(i/ow%oh, i%ow)
	}
	return round[T](sum)
}

// AvgPool2DBackward returns dx: every element gets an equal part of the gradient of each window
// that it is in.
func AvgPool2DBackward[T Float](p Pool2D, dy []T) []T {
	oh, ow := p.Output()
	sum := make([]float64, p.Batch*p.Channels*p.Height*p.Width)
	p.visit(func(yi, xi int) { sum[xi] += float64(dy[yi]) / p.divisor(yi/ow%oh, yi%ow) })
	return round[T](sum)
}
