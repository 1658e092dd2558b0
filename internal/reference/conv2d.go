package reference

// Conv2D is a two-dimensional convolution (cross-correlation) with zero padding:
//
//	y[n,o,i,j] = b[o] + Σ_{c,u,v} w[o,c,u,v] · x[n, g·C/G+c, i·SH+u·DH−PH, j·SW+v·DW−PW]
//
// with x = 0 outside the image, for c < C/G, g = ⌊o·G/O⌋ being the group of o among G. Its
// gradients are the same sum read the other way:
//
//	dx[n,k,h,l] = Σ w[o,c,u,v] · dy[n,o,i,j]   over all (o,c,u,v,i,j) whose product has x[n,k,h,l]
//	dw[o,c,u,v] = Σ_{n,i,j} dy[n,o,i,j] · x[n, g·C/G+c, i·SH+u·DH−PH, j·SW+v·DW−PW]
//	db[o]       = Σ_{n,i,j} dy[n,o,i,j]
type Conv2D struct {
	Batch, Channels, Height, Width int
	Filters                        int
	KernelHeight, KernelWidth      int
	StrideHeight, StrideWidth      int
	PaddingHeight, PaddingWidth    int
	// ExtraHeight and ExtraWidth are how much more padding there is below and to the right than above
	// and to the left.
	ExtraHeight, ExtraWidth int
	// Groups is G, and DilationHeight and DilationWidth are DH and DW: 1 where they are 0.
	Groups                        int
	DilationHeight, DilationWidth int
}

// Output returns the height and width of y.
func (c Conv2D) Output() (height, width int) {
	dh, dw := max(1, c.DilationHeight), max(1, c.DilationWidth)
	return (c.Height+2*c.PaddingHeight+c.ExtraHeight-dh*(c.KernelHeight-1)-1)/c.StrideHeight + 1,
		(c.Width+2*c.PaddingWidth+c.ExtraWidth-dw*(c.KernelWidth-1)-1)/c.StrideWidth + 1
}

// visit calls f with the flat indices in y, w and x of every product in the sum, in the order of y.
func (c Conv2D) visit(f func(y, w, x int)) {
	oh, ow := c.Output()
	dh, dw := max(1, c.DilationHeight), max(1, c.DilationWidth)
	channels, filters := c.Channels/max(1, c.Groups), c.Filters/max(1, c.Groups) // of a group
	for n := range c.Batch {
		for o := range c.Filters {
			first := o / filters * channels
			for i := range oh {
				for j := range ow {
					y := ((n*c.Filters+o)*oh+i)*ow + j
					for ch := range channels {
						for u := range c.KernelHeight {
							for v := range c.KernelWidth {
								h, k := i*c.StrideHeight+u*dh-c.PaddingHeight, j*c.StrideWidth+v*dw-c.PaddingWidth
								if h < 0 || h >= c.Height || k < 0 || k >= c.Width {
									continue
								}
								f(y, ((o*channels+ch)*c.KernelHeight+u)*c.KernelWidth+v,
									((n*c.Channels+first+ch)*c.Height+h)*c.Width+k)
							}
						}
					}
				}
			}
		}
	}
}

// Conv2DForward returns y, N×O×OH×OW.
func Conv2DForward[T Float](c Conv2D, x, w, b []T) []T {
	oh, ow := c.Output()
	sum := make([]float64, c.Batch*c.Filters*oh*ow)
	for i := range sum {
		sum[i] = float64(b[i/(oh*ow)%c.Filters])
	}
	c.visit(func(yi, wi, xi int) { sum[yi] += float64(w[wi]) * float64(x[xi]) })
	return round[T](sum)
}

// Conv2DBackward returns the gradients of x, w and b.
func Conv2DBackward[T Float](c Conv2D, dy, x, w []T) (dx, dw, db []T) {
	oh, ow := c.Output()
	sx, sw, sb := make([]float64, len(x)), make([]float64, len(w)), make([]float64, c.Filters)
	for i, g := range dy {
		sb[i/(oh*ow)%c.Filters] += float64(g)
	}
	c.visit(func(yi, wi, xi int) {
		sx[xi] += float64(w[wi]) * float64(dy[yi])
		sw[wi] += float64(x[xi]) * float64(dy[yi])
	})
	return round[T](sx), round[T](sw), round[T](sb)
}

func round[T Float](sum []float64) []T {
	out := make([]T, len(sum))
	for i, s := range sum {
		out[i] = T(s)
	}
	return out
}
