package train

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"slipway/dataset"
	"slipway/internal/random"
)

// Augmentation changes each training image a little, anew in every epoch. What an
// image becomes is a function of Config.Seed, the epoch and the image's index in the
// training set, so that it depends neither on the batches nor on threads, and a
// resumed run sees what an unbroken one does. Evaluation sees the images as they
// are. The zero value changes nothing.
type Augmentation struct {
	// Shift moves the image by a whole number of pixels in each direction, each of
	// −Shift…Shift being as likely, and independently. What comes in at an edge is
	// 0. It is torchvision's RandomCrop(size, padding=Shift).
	Shift int `json:"shift,omitempty"`
	// Rotation turns the image about its centre by an angle between −Rotation and
	// Rotation degrees, each as likely, before it is shifted. Pixels are
	// interpolated bilinearly and rounded to bytes; what lies outside is 0. It is
	// torchvision's RandomRotation(Rotation, InterpolationMode.BILINEAR).
	Rotation float64 `json:"rotation,omitempty"`
}

// IsZero reports whether images stay as they are.
func (a Augmentation) IsZero() bool { return a == Augmentation{} }

func (a Augmentation) check() error {
	switch {
	case a.Shift < 0:
		return fmt.Errorf("augmentation: a shift by up to %d pixels is negative", a.Shift)
	case !(a.Rotation >= 0 && a.Rotation <= 180):
		return fmt.Errorf("augmentation: a rotation by up to %v degrees is outside 0…180", a.Rotation)
	}
	return nil
}

// String says what is done, for people.
func (a Augmentation) String() string {
	var parts []string
	if a.Shift != 0 {
		parts = append(parts, fmt.Sprintf("shifts by up to %d pixels", a.Shift))
	}
	if a.Rotation != 0 {
		parts = append(parts, fmt.Sprintf("rotations by up to %v°", a.Rotation))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// augmenter makes the changed images of one batch at a time.
type augmenter struct {
	config Augmentation
	key    uint64
	from   *dataset.Set
	// batch holds the changed images, places their indices 0, 1, 2, …
	batch  *dataset.Set
	places []int
	turned []uint8 // one plane
}

// newAugmenter returns nil if nothing is to be changed.
func newAugmenter(config Config, from *dataset.Set) (*augmenter, error) {
	if config.Augmentation.IsZero() {
		return nil, nil
	}
	if shift := config.Augmentation.Shift; shift >= from.Height || shift >= from.Width {
		return nil, fmt.Errorf("augmentation: a shift by up to %d pixels leaves nothing of the %d×%d images of %s", shift, from.Height, from.Width, from.Name)
	}
	size := min(config.BatchSize, from.Len())
	a := &augmenter{
		config: config.Augmentation, key: random.Key(config.Seed, "augmentation"), from: from,
		places: make([]int, size), turned: make([]uint8, from.Height*from.Width),
	}
	for i := range a.places {
		a.places[i] = i
	}
	var err error
	a.batch, err = from.Subset(a.places)
	return a, err
}

// change returns the images of those indices as they are in that epoch: a set and
// their places in it, both valid until the next call. It does not allocate.
func (a *augmenter) change(epoch int, indices []int) (*dataset.Set, []int, error) {
	if len(indices) > len(a.places) {
		return nil, nil, errors.New("augmentation: a batch is larger than the configured one")
	}
	height, width := a.from.Height, a.from.Width
	plane := height * width
	for place, index := range indices {
		a.batch.Labels[place] = a.from.Labels[index]
		draw := a.draw(epoch, index)
		to, from := a.batch.Image(place), a.from.Image(index)
		for first := 0; first < len(from); first += plane {
			source := from[first : first+plane]
			if draw.degrees != 0 {
				rotate(a.turned, source, height, width, draw.degrees)
				source = a.turned
			}
			shift(to[first:first+plane], source, height, width, draw.down, draw.right)
		}
	}
	return a.batch, a.places[:len(indices)], nil
}

// drawn is what happens to one image.
type drawn struct {
	down, right int
	degrees     float64
}

// draw takes the words of Philox(key, {index, epoch}): the first two for the shift
// down and to the right, the third for the angle.
func (a *augmenter) draw(epoch, index int) drawn {
	words := random.Philox(a.key, [4]uint32{uint32(index), uint32(uint64(index) >> 32), uint32(epoch), uint32(uint64(epoch) >> 32)})
	// The values 0…n−1 get ⌊w·n/2³²⌋; none is likelier by more than n in 2³².
	values := uint64(2*a.config.Shift + 1)
	pixels := func(word uint32) int { return int(uint64(word)*values>>32) - a.config.Shift }
	unit := (float64(words[2]) + 0.5) / (1 << 32)
	return drawn{down: pixels(words[0]), right: pixels(words[1]), degrees: a.config.Rotation * (2*unit - 1)}
}

// shift writes the plane moved by |down| < height and |right| < width.
func shift(to, from []uint8, height, width, down, right int) {
	kept := width - max(right, -right)
	for y := range height {
		row := to[y*width : (y+1)*width]
		source := y - down
		if source < 0 || source >= height {
			clear(row)
			continue
		}
		clear(row[:max(right, 0)])
		clear(row[width-max(-right, 0):])
		copy(row[max(right, 0):], from[source*width+max(-right, 0):][:kept])
	}
}

// rotate writes the plane turned counter-clockwise about its centre: each pixel is
// looked up, bilinearly, at the place that the rotation brings it from.
func rotate(to, from []uint8, height, width int, degrees float64) {
	sine, cosine := math.Sincos(degrees * math.Pi / 180)
	centreX, centreY := float64(width-1)/2, float64(height-1)/2
	at := func(x, y int) float64 {
		if x < 0 || x >= width || y < 0 || y >= height {
			return 0
		}
		return float64(from[y*width+x])
	}
	for y := range height {
		for x := range width {
			dx, dy := float64(x)-centreX, float64(y)-centreY
			// y points down: counter-clockwise to the eye is a negative angle here.
			fromX, fromY := cosine*dx-sine*dy+centreX, sine*dx+cosine*dy+centreY
			left, top := math.Floor(fromX), math.Floor(fromY)
			u, v := fromX-left, fromY-top
			i, j := int(left), int(top)
			value := (1-v)*((1-u)*at(i, j)+u*at(i+1, j)) + v*((1-u)*at(i, j+1)+u*at(i+1, j+1))
			to[y*width+x] = uint8(value + 0.5)
		}
	}
}
