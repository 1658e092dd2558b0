package reference

// Pool2D is the geometry of two-dimensional pooling with symmetric padding over N×C×H×W; the output has
// ⌊(H+2·PH−KH)/SH⌋+1 rows.
type Pool2D struct {
	Batch, Channels, Height, Width int
	KernelHeight, KernelWidth      int
	StrideHeight, StrideWidth      int
	PaddingHeight, PaddingWidth    int
}

// Output returns the height and width of y.
func (p Pool2D) Output() (height, width int) {
	return (p.Height+2*p.PaddingHeight-p.KernelHeight)/p.StrideHeight + 1,
		(p.Width+2*p.PaddingWidth-p.KernelWidth)/p.StrideWidth + 1
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
