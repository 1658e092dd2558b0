package kernel

import "fmt"

// Window is the geometry of two-dimensional pooling; padding never wins a maximum.
type Window struct {
	Height, Width               int
	StrideHeight, StrideWidth   int
	PaddingHeight, PaddingWidth int
	// ExtraHeight and ExtraWidth are how much more padding there is below and to the right than above
	// and to the left.
	ExtraHeight, ExtraWidth int
	// CeilMode rounds the number of windows up, and leaves out a last one that starts behind the
	// input. What it adds behind the padding is no part of a mean.
	CeilMode bool
	// ExcludePadding takes means of what lies in the image alone.
	ExcludePadding bool
}

// maxWindowEntries bounds the table of the elements of all windows of an image.
const maxWindowEntries = 1 << 26

// output returns the size of the pooled map, or an error where the window does not fit PyTorch's
// rules.
func (w Window) output(height, width int) (oh, ow int, err error) {
	if w.Height < 1 || w.Width < 1 || w.StrideHeight < 1 || w.StrideWidth < 1 || w.PaddingHeight < 0 ||
		w.PaddingWidth < 0 || w.ExtraHeight < 0 || w.ExtraWidth < 0 {
		return 0, 0, fmt.Errorf(
			"kernel: pooling window %+v: sizes and strides must be positive, padding not negative", w)
	}
	for _, side := range []struct {
		name string
		size int
	}{
		{"height", w.Height}, {"width", w.Width}, {"vertical stride", w.StrideHeight},
		{"horizontal stride", w.StrideWidth},
		{"vertical padding", w.PaddingHeight}, {"horizontal padding", w.PaddingWidth},
		{"input's height", height}, {"input's width", width},
		{"additional padding below", w.ExtraHeight}, {"additional padding to the right", w.ExtraWidth},
	} {
		if tooLarge(side.size) {
			return 0, 0, fmt.Errorf("kernel: pooling window %+v: the %s %d is more than %d", w, side.name,
				side.size, maxSize)
		}
	}
	if 2*w.PaddingHeight > w.Height || 2*w.PaddingWidth > w.Width {
		return 0, 0, fmt.Errorf("kernel: pooling window %+v: padding is more than half of the window", w)
	}
	if w.ExtraHeight > 0 && w.PaddingHeight+w.ExtraHeight >= w.Height || w.ExtraWidth > 0 &&
		w.PaddingWidth+w.ExtraWidth >= w.Width {
		return 0, 0, fmt.Errorf("kernel: pooling window %+v: a window could lie in the padding alone", w)
	}
	if w.Height*w.Width >= positionNone {
		return 0, 0, fmt.Errorf("kernel: pooling window %+v: more than %d elements", w, positionNone-1)
	}
	if height+2*w.PaddingHeight+w.ExtraHeight < w.Height ||
		width+2*w.PaddingWidth+w.ExtraWidth < w.Width {
		return 0, 0, fmt.Errorf("kernel: pooling window %d×%d does not fit its %d×%d input", w.Height,
			w.Width, height, width)
	}
	oh = w.side(height, w.Height, w.StrideHeight, w.PaddingHeight, w.ExtraHeight)
	ow = w.side(width, w.Width, w.StrideWidth, w.PaddingWidth, w.ExtraWidth)
	if oh*ow > maxWindowEntries/(w.Height*w.Width) {
		return 0, 0, fmt.Errorf(
			"kernel: pooling window %+v: more than %d elements in all windows of an image", w,
			maxWindowEntries)
	}
	return oh, ow, nil
}

// side returns how many windows there are in one direction.
func (w Window) side(size, window, stride, padding, extra int) int {
	last := size + 2*padding + extra - window
	windows := last/stride + 1
	if w.CeilMode && last%stride > 0 && windows*stride < size+padding {
		windows++
	}
	return windows
}

// values returns how many values the mean of window (i, j) of an image is of.
func (w Window) values(i, j, height, width int) int {
	side := func(at, size, window, stride, padding, extra int) int {
		first := at*stride - padding
		end := min(first+window, size+padding+extra)
		if w.ExcludePadding {
			first, end = max(first, 0), min(end, size)
		}
		return end - first
	}
	return side(i, height, w.Height, w.StrideHeight, w.PaddingHeight, w.ExtraHeight) *
		side(j, width, w.Width, w.StrideWidth, w.PaddingWidth, w.ExtraWidth)
}
