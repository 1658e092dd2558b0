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
	table := pixels.Table() // looking a pixel up costs less than converting it
	for k, i := range indices {
		image := s.Image(i)
		out := dst[k*size:][:len(image)]
		if pixels.channels != nil || pixels.reversed {
			pixels.fillChannels(out, image, s.Channels)
		} else {
			for j, x := range image {
				out[j] = table[x]
			}
		}
		if labels != nil {
			labels[k] = s.Labels[i]
		}
	}
	return nil
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
