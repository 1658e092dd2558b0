package kernel

const (
	// bandElements is how many elements of x and y together a band aims at: the passes over it find it
	// in the second-level cache, beside the weights and the sums of their gradient.
	bandElements = 32 << 10
	// bandRows is how many positions a band has at most: what a product loads and stores is little
	// beside it.
	bandRows = 512
	// bandLeastRows is how many it has at least.
	bandLeastRows = 48
)

// bands returns a convolution of one tap, which sees positions and no neighbours, as one of images
// of a single row: bands of positions that are few enough to stay in the second-level cache from
// one pass to the next, which a large map is not. It is for those whose gradients may be summed in
// another order. Of a batch of several shares, each has bands of its own: what is summed by bands
// is as it were of the share alone.
func (f Conv2DConfig) bands(shares int) (Conv2DConfig, bool) {
	if !f.FilteredGradients || f.Direct || f.ReLU || f.MaxPool != nil || f.KernelHeight != 1 ||
		f.KernelWidth != 1 || f.StrideHeight != 1 || f.StrideWidth != 1 ||
		f.PaddingHeight+f.PaddingWidth+f.ExtraHeight+f.ExtraWidth > 0 {
		return f, false
	}
	positions := f.Batch / shares * f.Height * f.Width
	for rows := min(bandRows, max(bandLeastRows, bandElements/(f.Channels+f.Filters)),
		positions); rows >= bandLeastRows; rows-- {
		if positions%rows == 0 {
			f.Batch, f.Height, f.Width = shares*positions/rows, 1, rows
			return f, true
		}
	}
	return f, false
}
