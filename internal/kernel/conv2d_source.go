package kernel

import "unsafe"

// reserve makes room for the copies of as many images in every thread's memory, the first time.
func (c *Conv2D) reserve(images int) {
	for i := range c.work {
		if ws := &c.work[i].own; c.copied && len(ws.images) < images*c.imageSize {
			ws.images = aligned(images * c.imageSize)
		}
	}
}

// source returns some images as the kernels read them. Where that takes copies, they are the
// thread's and made right before they are read, in each pass again: those of a whole batch would
// have to come from memory.
func (c *Conv2D) source(worker, image, images int) unsafe.Pointer {
	if !c.copied {
		return pointer(c.x[image*c.imageSize:])
	}
	copies := c.work[worker].own.images
	for i := range images {
		c.pad(worker, copies[i*c.imageSize:], image+i, 0, c.config.Height)
	}
	return pointer(copies)
}

// copyItems is how many items of work the copy of an image is.
const copyItems = 4

func (c *Conv2D) copyImage(worker, item int) {
	f := &c.config
	image, quarter := item/copyItems, item%copyItems
	first, last := quarter*f.Height/copyItems, (quarter+1)*f.Height/copyItems
	to := c.input[image*c.imageSize : (image+1)*c.imageSize]
	c.pad(worker, to, image, first, last)
	// What lies around the image is zero, whoever used the memory before.
	left, row := f.PaddingWidth*f.Channels, f.Width*f.Channels
	for h := first; h < last; h++ {
		padded := to[(h+f.PaddingHeight)*c.rowSize:][:c.rowSize]
		clear(padded[:left])
		clear(padded[left+row:])
	}
	if quarter == 0 {
		clear(to[:f.PaddingHeight*c.rowSize])
	}
	if quarter == copyItems-1 {
		clear(to[(f.PaddingHeight+f.Height)*c.rowSize:])
	}
}

// pad copies rows first to last of an image into the middle of dst, normalised where that is asked
// for.
func (c *Conv2D) pad(worker int, dst []float32, image, first, last int) {
	f := &c.config
	row := f.Width * f.Channels
	for h := first; h < last; h++ {
		at := (image*f.Height + h) * row
		to, from := dst[(h+f.PaddingHeight)*c.rowSize+f.PaddingWidth*f.Channels:][:row], c.x[at:at+row]
		if c.before != nil {
			c.before.normalise(&c.work[worker].own.normalise, to, from)
		} else {
			copy(to, from)
		}
	}
}

// paddedGradients returns memory for the gradients of as many padded images, by worker, or nil
// where there is no padding and they are summed in dx itself.
func (c *Conv2D) paddedGradients(images int) [][]float32 {
	if c.imageSize == c.config.Height*c.config.Width*c.config.Channels {
		return nil
	}
	gradients := make([][]float32, len(c.work))
	for i := range gradients {
		gradients[i] = aligned(images * c.imageSize)
	}
	return gradients
}

// unpad copies the middle of some images' padded gradients to dx.
func (c *Conv2D) unpad(padded []float32, image, images int) {
	f := &c.config
	row := f.Width * f.Channels
	for i := range images * f.Height {
		n, h := i/f.Height, i%f.Height
		src := n*c.imageSize + (h+f.PaddingHeight)*c.rowSize + f.PaddingWidth*f.Channels
		copy(c.dx[(image*f.Height+i)*row:][:row], padded[src:])
	}
}

// imagesBehind returns up to so many images of a tensor from one on, of size elements each: none
// behind the last.
func (c *Conv2D) imagesBehind(of []float32, size, image, images int) []float32 {
	first, last := min(image, c.config.Batch), min(image+images, c.config.Batch)
	return of[first*size : last*size]
}
