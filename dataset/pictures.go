package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"slipway/dataset/picture"
)

// Pictures is a set of pictures that need not lie in memory, or that has its originals:
// OpenSource makes it where they take more memory than Options.Memory, or where
// Options.Originals asks for them. Its pictures come from memory, from a file of decoded
// pictures, or from their own files, the same bytes in each case.
type Pictures struct {
	info   Info
	labels []int32
	files  []string
	// contents has the sha256 of each picture's file.
	contents []content
	store    pictureStore
	// at has the place of each picture in the store.
	at []int32
	// sizing makes them of one size, nil where the store has them so.
	sizing  *picture.Sizing
	scratch *sync.Pool // of *readScratch
}

// pictureStore has decoded pictures.
type pictureStore interface {
	// load makes into the picture of that place. Its Pixels are used again where they are
	// large enough; those outside the rows need not be set, unless rows is nil.
	load(ctx context.Context, place int, rows Rows, into *picture.Image) error
}

// readScratch is what one Read works with.
type readScratch struct {
	stored, sized picture.Image
	resizer       picture.Resizer
}

// Len returns the number of pictures.
func (p *Pictures) Len() int { return len(p.labels) }

// Info says what the set is.
func (p *Pictures) Info() Info {
	info := p.info
	info.ClassNames = slices.Clone(info.ClassNames)
	return info
}

// FileNames has the name of each picture's file within the set.
func (p *Pictures) FileNames() []string { return p.files }

// Read is Source's Read: the pictures at their one size, the same in each epoch.
func (p *Pictures) Read(ctx context.Context, images []uint8, labels []int32, indices []int,
	_ int) error {
	size := p.info.Channels * p.info.Height * p.info.Width
	if size == 0 {
		return fmt.Errorf("%s: %w: its pictures are of more than one size; give them one with -resize",
			p.info.Name, ErrSize)
	}
	if err := checkRead(p.info.Name, len(images), labels, indices, size, p.Len()); err != nil {
		return err
	}
	scratch := p.scratch.Get().(*readScratch)
	defer p.scratch.Put(scratch)
	for k, i := range indices {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.read(ctx, images[k*size:(k+1)*size], i, scratch); err != nil {
			return fmt.Errorf("%s: %s: %w", p.info.Name, p.files[i], err)
		}
		if labels != nil {
			labels[k] = p.labels[i]
		}
	}
	return nil
}

func (p *Pictures) read(ctx context.Context, into []uint8, index int, scratch *readScratch) error {
	image := &scratch.stored
	if err := p.store.load(ctx, int(p.at[index]), nil, image); err != nil {
		return err
	}
	if p.sizing != nil {
		if err := scratch.resizer.Fit(&scratch.sized, image, *p.sizing); err != nil {
			return err
		}
		image = &scratch.sized
	}
	if image.Height != p.info.Height || image.Width != p.info.Width {
		return fmt.Errorf("%w: it is %d×%d pixels, the set's pictures are %d×%d", ErrSize,
			image.Height, image.Width, p.info.Height, p.info.Width)
	}
	spread(into, image, p.info.Channels)
	return nil
}

// spread writes an image of 1 channel, or of as many as are asked for, with that many.
func spread(into []uint8, image *picture.Image, channels int) {
	for range channels / image.Channels {
		into = into[copy(into, image.Pixels):]
	}
}

// Original makes into the picture of that index as it was before it came to one size, in those
// rows.
func (p *Pictures) Original(ctx context.Context, index int, rows Rows, into *picture.Image) error {
	if index < 0 || index >= p.Len() {
		return fmt.Errorf("%s: %w: %d of 0…%d", p.info.Name, ErrIndex, index, p.Len()-1)
	}
	place := int(p.at[index])
	if held, ok := p.store.(decoded); ok {
		copyRows(into, held[place], rows)
	} else if err := p.store.load(ctx, place, rows, into); err != nil {
		return fmt.Errorf("%s: %s: %w", p.info.Name, p.files[index], err)
	}
	toChannels(into, p.info.Channels)
	return nil
}

// copyRows makes into a picture like the other in those rows, in memory of its own.
func copyRows(into, image *picture.Image, rows Rows) {
	first, end := rows.of(image.Height, image.Width)
	pixels := slices.Grow(into.Pixels[:0], len(image.Pixels))[:len(image.Pixels)]
	*into = *image
	into.Pixels = pixels
	for plane := 0; plane < len(pixels); plane += image.Height * image.Width {
		from, to := plane+first*image.Width, plane+end*image.Width
		copy(pixels[from:to], image.Pixels[from:to])
	}
}

// of returns the rows of a picture of that size.
func (r Rows) of(height, width int) (first, end int) {
	if r == nil {
		return 0, height
	}
	return r(height, width)
}

// toChannels makes of a picture of 1 channel, or of as many, one with that many.
func toChannels(image *picture.Image, channels int) {
	plane := len(image.Pixels)
	size := channels / image.Channels * plane
	image.Channels, image.Pixels = channels, slices.Grow(image.Pixels, size-plane)[:size]
	for first := plane; first < size; first += plane {
		copy(image.Pixels[first:], image.Pixels[:plane])
	}
}

// ReadLabels writes the labels of those indices.
func (p *Pictures) ReadLabels(labels []int32, indices []int) error {
	if err := checkRead(p.info.Name, len(indices), labels, indices, 1, p.Len()); err != nil {
		return err
	}
	if labels != nil {
		for k, i := range indices {
			labels[k] = p.labels[i]
		}
	}
	return nil
}

func (p *Pictures) clone() *Pictures {
	clone := *p
	return &clone
}

// subset is the pictures of those indices, in their order.
func (p *Pictures) subset(indices []int) *Pictures {
	sub := p.clone()
	sub.labels, sub.files = pick(p.labels, indices), pick(p.files, indices)
	sub.contents, sub.at = pick(p.contents, indices), pick(p.at, indices)
	sub.info.Images, sub.info.Place = len(indices), "" // there lies the whole
	sub.info.SHA256 = sub.digest()
	return sub
}

func (p *Pictures) digest() string {
	return pictureDigest(p.info.Channels, p.info.Height, p.info.Width, p.info.Sizing, p.labels,
		p.info.Combinations, p.contents)
}

// pictureDigest is the digest of a set of pictures in files. It depends neither on where
// the files lie nor on what they are called, but on their order. combinations are those of a
// multi-label set, nil of another one.
func pictureDigest(channels, height, width int, sizing string, labels []int32,
	combinations Combinations, contents []content) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "pictures %d×%d×%d×%d, %q\n", len(labels), channels, height, width, sizing)
	if combinations != nil {
		fmt.Fprint(sum, "any number of labels\n")
		var labelsOf []byte
		for i, label := range labels {
			labelsOf = combinations.appendLabels(labelsOf[:0], label)
			sum.Write(labelsOf)
			sum.Write(contents[i][:])
		}
		return hex.EncodeToString(sum.Sum(nil))
	}
	var line [4 + sha256.Size]byte
	for i, label := range labels {
		binary.LittleEndian.PutUint32(line[:4], uint32(label))
		copy(line[4:], contents[i][:])
		sum.Write(line[:])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// decoded has pictures in memory. They are not to be changed.
type decoded []*picture.Image

func (m decoded) load(_ context.Context, place int, _ Rows, into *picture.Image) error {
	*into = *m[place]
	return nil
}

// inFiles decodes pictures each time.
type inFiles struct {
	files    []pictureFile
	contents []content
	sizing   *picture.Sizing // before they are handed out, nil for none
	channels int             // 0: as they are
}

func (f *inFiles) load(_ context.Context, place int, _ Rows, into *picture.Image) error {
	data, err := f.files[place].read()
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s is gone; put it back, and go on: %w", ErrChanged, f.files[place].where,
			err)
	}
	if err != nil {
		return err
	}
	if sha256.Sum256(data) != f.contents[place] {
		return fmt.Errorf("%w: %s is another file than when the set was opened; "+
			"put back what it was, or begin anew",
			ErrChanged, f.files[place].where)
	}
	image, err := decode(f.files[place], data, f.channels, f.sizing, new(picture.Resizer))
	if err != nil {
		return err
	}
	*into = *image
	return nil
}

// decode makes of a file's bytes what a store keeps of it.
func decode(file pictureFile, data []byte, channels int, sizing *picture.Sizing,
	resizer *picture.Resizer) (*picture.Image, error) {
	image, err := picture.Decode(data, picture.Options{Channels: channels})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.where, err)
	}
	if sizing == nil {
		return image, nil
	}
	sized := new(picture.Image)
	if err := resizer.Fit(sized, image, *sizing); err != nil {
		return nil, fmt.Errorf("%s: %w", file.where, err)
	}
	return sized, nil
}
