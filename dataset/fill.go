package dataset

import "fmt"

// Fill writes the images of those indices to dst, B×C×H×W, and their labels
// to labels, B, without allocating. Both may be longer than needed; labels
// may be nil. Pixels must be for as many channels as the images have. On an error
// nothing is written.
func (s *Set) Fill(dst []float32, labels []int32, indices []int, pixels Pixels) error {
	size := s.ImageSize()
	if len(dst)/size < len(indices) {
		return fmt.Errorf("%w: %d images of %d values into a buffer of %d", ErrSize, len(indices), size,
			len(dst))
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
		pixels.Image(dst[k*size:], s.Image(i), s.Channels)
		if labels != nil {
			labels[k] = s.Labels[i]
		}
	}
	return nil
}
