package kernel

import "math"

// Border is how many rows above and below, and how many positions on either side, lie around each
// image of a map: the padding of the convolution that reads it, which need not copy it then.
type Border struct{ Vertical, Horizontal int }

// first returns how many elements of an image lie before its first position, with the border.
func (b Border) first(width, channels int) int {
	return (b.Vertical*(width+2*b.Horizontal) + b.Horizontal) * channels
}

// stride returns the elements of an image with its border.
func (b Border) stride(height, width, channels int) int {
	return (height + 2*b.Vertical) * (width + 2*b.Horizontal) * channels
}

// span returns the elements of images from the first position to the last.
func (b Border) span(images, height, width, channels int) int {
	return images*b.stride(height, width, channels) - 2*b.first(width, channels)
}

// offsets returns where the positions of some images lie, from the first one on, in bytes.
func (b Border) offsets(images, height, width, channels int) []int64 {
	offsets := make([]int64, 0, images*height*width)
	for image := range images {
		for i := range height {
			at := image*b.stride(height, width, channels) + i*(width+2*b.Horizontal)*channels
			for range width {
				offsets = append(offsets, int64(4*at))
				at += channels
			}
		}
	}
	return offsets
}

// fits reports whether so many images with the border are small enough for the tables.
func (b Border) fits(images, height, width, channels int) bool {
	return b.Vertical >= 0 && b.Horizontal >= 0 && !tooLarge(b.Vertical, b.Horizontal) &&
		(height+2*b.Vertical) <= math.MaxInt32/64/channels/(width+2*b.Horizontal) &&
		images <= maxElements/b.stride(height, width, channels)
}

// Clear writes zeros around images that are height×width without the border. y has them with it,
// and nothing else of it is written.
func (b Border) Clear(y []float32, height, width, channels int) {
	size, first := b.stride(height, width, channels), b.first(width, channels)
	row, side := width*channels, 2*b.Horizontal*channels
	for ; len(y) >= size && size > 0; y = y[size:] {
		clear(y[:first])
		for at := first + row; at < size-first; at += row + side {
			clear(y[at : at+side])
		}
		clear(y[size-first : size])
	}
}
