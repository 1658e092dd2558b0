package reference

// Pool2D is the geometry of two-dimensional pooling over N×C×H×W; the output has
// ⌊(H+2·PH+EH−KH)/SH⌋+1 rows.
type Pool2D struct {
	Batch, Channels, Height, Width int
	KernelHeight, KernelWidth      int
	StrideHeight, StrideWidth      int
	PaddingHeight, PaddingWidth    int
	// ExtraHeight and ExtraWidth are how much more padding there is below and to the right, EH and EW.
	ExtraHeight, ExtraWidth int
	// CeilMode rounds the number of windows up, and leaves out a last one that starts behind the
	// input (PyTorch's rule).
	CeilMode bool
	// ExcludePadding takes means over what lies in the image alone.
	ExcludePadding bool
}

// Output returns the height and width of y.
func (p Pool2D) Output() (height, width int) {
	side := func(size, kernel, stride, padding, extra int) int {
		last := size + 2*padding + extra - kernel
		if !p.CeilMode {
			return last/stride + 1
		}
		windows := (last+stride-1)/stride + 1
		if (windows-1)*stride >= size+padding {
			windows--
		}
		return windows
	}
	return side(p.Height, p.KernelHeight, p.StrideHeight, p.PaddingHeight, p.ExtraHeight),
		side(p.Width, p.KernelWidth, p.StrideWidth, p.PaddingWidth, p.ExtraWidth)
}

// divisor returns how many values the mean of window (i, j) is of: those in the image and, unless
// they are excluded, in the padding. What CeilMode adds behind the padding never counts.
func (p Pool2D) divisor(i, j int) float64 {
	side := func(at, size, kernel, stride, padding, extra int) int {
		first := at*stride - padding
		end := min(first+kernel, size+padding+extra)
		if p.ExcludePadding {
			first, end = max(first, 0), min(end, size)
		}
		return end - first
	}
	return float64(side(i, p.Height, p.KernelHeight, p.StrideHeight, p.PaddingHeight, p.ExtraHeight) *
		side(j, p.Width, p.KernelWidth, p.StrideWidth, p.PaddingWidth, p.ExtraWidth))
}

// visit calls f with the flat indices in y and x of every element of every window, row by row.
func (p Pool2D) visit(f func(y, x int)) {
	oh, ow := p.Output()
	for plane := range p.Batch * p.Channels {
		for i := range oh {
			for j := range ow {
				for u := range p.KernelHeight {
					for v := range p.KernelWidth {
						h, k := i*p.StrideHeight+u-p.PaddingHeight, j*p.StrideWidth+v-p.PaddingWidth
						if h >= 0 && h < p.Height && k >= 0 && k < p.Width {
							f((plane*oh+i)*ow+j, (plane*p.Height+h)*p.Width+k)
						}
					}
				}
			}
		}
	}
}
