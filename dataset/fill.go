package dataset

import "fmt"

// Fill writes the images of those indices to dst, B×C×H×W, and their labels
// to labels, B, without allocating. Both may be longer than needed; labels
// may be nil. Pixels must be for as many channels as the images have. On an error
// nothing is written.
func (s *Set) Fill(dst []float32, labels []int32, indices []int, pixels Pixels) error {
	size := s.ImageSize()
	if len(dst)/size < len(indices) {
		return fmt.Errorf("%w: %d images of %d values into a buffer of %d", ErrSize, len(indices), size, len(dst))
	}
	if labels != nil && len(labels) < len(indices) {
		return fmt.Errorf("%w: %d labels into a buffer of %d", ErrSize, len(indices), len(labels))
	}
	for _, i := range indices {
		if err := s.checkIndex(i); err != nil {
			return err
		}
	}
	if err := pixels.CheckChannels(s.Channels); err != nil {
		return fmt.Errorf("data %s: %w", s.Name, err)
	}
	for k, i := range indices {
		pixels.feed(dst[k*size:], s.Image(i), s.Channels)
		if labels != nil {
			labels[k] = s.Labels[i]
		}
	}
	return nil
}

// Feed writes images, N×C×H×W bytes of size bytes an image, as they are fed: as many values
// to dst. Pixels must be for as many channels as the images have.
func (p Pixels) Feed(dst []float32, images []uint8, channels, size int) error {
	if size < 1 || channels < 1 || size%channels != 0 || len(images)%size != 0 || len(dst) < len(images) {
		return fmt.Errorf("%w: %d bytes of images of %d with %d channels into a buffer of %d", ErrSize, len(images), size, channels, len(dst))
	}
	if err := p.CheckChannels(channels); err != nil {
		return err
	}
	for first := 0; first < len(images); first += size {
		p.feed(dst[first:], images[first:first+size], channels)
	}
	return nil
}

// feed writes one image.
func (p Pixels) feed(dst []float32, image []uint8, channels int) {
	out := dst[:len(image)]
	if p.channels != nil || p.reversed {
		p.fillChannels(out, image, channels)
		return
	}
	table := p.Table() // looking a pixel up costs less than converting it
	for j, x := range image {
		out[j] = table[x]
	}
}

// fillChannels writes an image of C×H×W bytes, each channel by its own table.
func (p Pixels) fillChannels(dst []float32, image []byte, channels int) {
	area := len(image) / channels
	for to := range channels {
		from := to
		if p.reversed {
			from = channels - 1 - to
		}
		table := p.ChannelTable(to)
		out := dst[to*area:][:area]
		for j, x := range image[from*area:][:area] {
			out[j] = table[x]
		}
	}
}
