package augment

import (
	"context"
	"fmt"
	"sync"

	"slipway/dataset"
	"slipway/dataset/picture"
)

// Source returns the source with its images changed by the list, anew in each epoch: what
// training sees of it. A list that begins with RandomResizedCrop takes the pictures in
// their own size from a source that has them (dataset.Originals). An empty list changes
// nothing, and gives the source itself.
func Source(from dataset.Source, list List, seed uint64) (dataset.Source, error) {
	if len(list) == 0 {
		return from, nil
	}
	info := from.Info()
	augmenter, err := New(list, seed, info.Channels, info.Height, info.Width)
	if err != nil {
		return nil, fmt.Errorf("augmentation of %s: %w", info.Name, err)
	}
	s := &source{Source: from, augmenter: augmenter, size: info.Channels * info.Height * info.Width}
	if originals, ok := from.(dataset.Originals); ok && list.NeedsOriginal() {
		s.originals = originals
		s.pictures.New = func() any { return newOriginal(augmenter) }
	}
	return s, nil
}

type source struct {
	dataset.Source
	augmenter *Augmenter
	size      int // bytes of an image
	originals dataset.Originals
	pictures  sync.Pool // of *original
}

// original is a picture that is read for the image of that index in that epoch.
type original struct {
	picture.Image
	rows         dataset.Rows // that the augmenter looks at
	epoch, index int
}

func newOriginal(augmenter *Augmenter) *original {
	o := new(original)
	o.rows = func(height, width int) (first, end int) {
		return augmenter.OriginalRows(height, width, o.epoch, o.index)
	}
	return o
}

// Read implements dataset.Source.
func (s *source) Read(ctx context.Context, images []uint8, labels []int32, indices []int,
	epoch int) error {
	if s.originals != nil {
		return s.readOriginals(ctx, images, labels, indices, epoch)
	}
	if err := s.Source.Read(ctx, images, labels, indices, epoch); err != nil {
		return err
	}
	for k, index := range indices {
		image := images[k*s.size : (k+1)*s.size]
		if err := s.augmenter.Apply(image, image, epoch, index); err != nil {
			return fmt.Errorf("augment image %d: %w", index, err)
		}
	}
	return nil
}

func (s *source) readOriginals(ctx context.Context, images []uint8, labels []int32, indices []int,
	epoch int) error {
	if err := s.originals.ReadLabels(labels, indices); err != nil {
		return err
	}
	if len(images)/s.size < len(indices) {
		return fmt.Errorf("%w: %d images of %d bytes into a buffer of %d", dataset.ErrSize,
			len(indices), s.size, len(images))
	}
	original := s.pictures.Get().(*original)
	defer s.pictures.Put(original)
	for k, index := range indices {
		if err := ctx.Err(); err != nil {
			return err
		}
		original.epoch, original.index = epoch, index
		if err := s.originals.Original(ctx, index, original.rows, &original.Image); err != nil {
			return err
		}
		if err := s.augmenter.ApplyOriginal(images[k*s.size:(k+1)*s.size], &original.Image, epoch,
			index); err != nil {
			return fmt.Errorf("augment image %d: %w", index, err)
		}
	}
	return nil
}
