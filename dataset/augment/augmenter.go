package augment

import (
	"fmt"
	"sync"

	"slipway/dataset/picture"
	"slipway/internal/random"
)

// Augmenter applies a list to images of one shape. It has no state but memory to compute in: what
// becomes of an image depends on the list, the seed, the epoch, the image's index and its bytes
// alone. It is safe for concurrent use, and allocates nothing once as many calls as run side by
// side have been made.
type Augmenter struct {
	list     List
	crop     *RandomResizedCrop // the list's first operation; nil if it is another
	shape    Shape
	keys     []uint64 // of the operations
	canvases sync.Pool
}

// New makes an Augmenter for images of C×H×W bytes. The error is the list's Check.
func New(list List, seed uint64, channels, height, width int) (*Augmenter, error) {
	if err := list.Check(channels, height, width); err != nil {
		return nil, err
	}
	a := &Augmenter{list: list.normal(), shape: Shape{channels, height, width}}
	_, _, legacy := a.list.Legacy()
	for place, operation := range a.list {
		key := placeKey(seed, place, operation.Name())
		if legacy {
			key = random.Key(seed, legacyPurpose)
		}
		a.keys = append(a.keys, key)
	}
	if a.list.NeedsOriginal() {
		crop := a.list[0].(RandomResizedCrop)
		a.crop = &crop
	}
	a.canvases.New = func() any { return newCanvas(a.shape) }
	return a, nil
}

// List is what is applied, with defaults filled in.
func (a *Augmenter) List() List { return append(List(nil), a.list...) }

// Shape is that of the images.
func (a *Augmenter) Shape() Shape { return a.shape }

// Apply writes to dst what becomes of the image with that index in that epoch. Both have C×H×W
// bytes. They may be the same memory, and must not overlap otherwise.
func (a *Augmenter) Apply(dst, image []uint8, epoch, index int) error {
	if len(dst) != a.shape.size() || len(image) != a.shape.size() {
		return fmt.Errorf("augmentation: image %d has %d bytes, and %d are there for the result; "+
			"images of %v have %d", index, len(image), len(dst), a.shape, a.shape.size())
	}
	c := a.canvases.Get().(*canvas)
	defer a.canvases.Put(c)
	c.begin(dst, image)
	a.apply(c, 0, epoch, index)
	c.end()
	return nil
}

// ApplyOriginal writes to dst, C×H×W bytes, what becomes of a picture of any size, for lists that
// begin with RandomResizedCrop. The picture has the channels of the result.
func (a *Augmenter) ApplyOriginal(dst []uint8, original *picture.Image, epoch, index int) error {
	switch {
	case a.crop == nil:
		return fmt.Errorf("augmentation: %q does not begin with %s, so bring picture %d to the "+
			"size of all and use Apply", a.list, RandomResizedCrop{}.Name(), index)
	case len(dst) != a.shape.size():
		return fmt.Errorf("augmentation: %d bytes are there for image %d; images of %v have %d",
			len(dst), index, a.shape, a.shape.size())
	case original == nil || original.Channels != a.shape.Channels:
		return fmt.Errorf("augmentation: picture %d is missing or has not %d channels; "+
			"bring it to them first", index, a.shape.Channels)
	}
	c := a.canvases.Get().(*canvas)
	defer a.canvases.Put(c)
	if err := a.crop.make(c, dst, original, newDraws(a.keys[0], epoch, index)); err != nil {
		return fmt.Errorf("augmentation: picture %d: %w", index, err)
	}
	c.begin(dst, dst)
	a.apply(c, 1, epoch, index)
	c.end()
	return nil
}

// OriginalRows returns the rows, from first on up to the one before end, that ApplyOriginal looks
// at of a picture of that size, all where the list does not begin with RandomResizedCrop. What else
// the picture holds can be anything.
func (a *Augmenter) OriginalRows(height, width, epoch, index int) (first, end int) {
	if a.crop == nil || height < 1 || width < 1 {
		return 0, height
	}
	part := a.crop.part(newDraws(a.keys[0], epoch, index), height, width)
	return part.Top, part.Top + part.Height
}

// apply does the operations from the place first on.
func (a *Augmenter) apply(c *canvas, first, epoch, index int) {
	for place := first; place < len(a.list); place++ {
		a.list[place].apply(c, newDraws(a.keys[place], epoch, index))
	}
}
