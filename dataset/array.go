package dataset

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// array is numbers as a file holds them: row-major, all of one type.
type array struct {
	element
	shape []int
	data  []byte // product(shape)·size bytes
}

// layout says how an array of images lies.
type layout struct {
	channels, height, width int
	last                    bool // N×H×W×C, not N×C×H×W
}

// layoutOf reads a shape. Three dimensions are N×H×W, grey. Of four, the one of 1 or 3
// is the channels, the second or the last; where both are, none can tell. Another number
// of channels comes first, and is below the rows and the columns.
func layoutOf(shape []int) (layout, error) {
	switch len(shape) {
	case 3:
		return layout{channels: 1, height: shape[1], width: shape[2]}, nil
	case 4:
	default:
		return layout{}, fmt.Errorf("%w: shape %v; images have 3 (N×H×W) or 4 (N×C×H×W or "+
			"N×H×W×C); give the images file, not the labels", ErrRank, shape)
	}
	usual := func(channels int) bool { return channels == 1 || channels == 3 }
	first := layout{channels: shape[1], height: shape[2], width: shape[3]}
	last := layout{channels: shape[3], height: shape[1], width: shape[2], last: true}
	switch {
	case shape[1] == 1 && shape[2] == 1 && shape[3] == 1: // the same either way
		return first, nil
	case usual(shape[1]) && usual(shape[3]):
		return layout{}, fmt.Errorf("%w: shape %v is N×C×H×W with %d channels or N×H×W×C with %d; "+
			"store grey images as N×H×W, and images of colour in more than 3 rows and columns",
			ErrLayout, shape, first.channels, last.channels)
	case usual(shape[1]):
		return first, nil
	case usual(shape[3]):
		return last, nil
	case shape[1] < shape[2] && shape[1] < shape[3]:
		return first, nil
	}
	return layout{}, fmt.Errorf("%w: shape %v has channels (1 or 3) neither second, as N×C×H×W, "+
		"nor last, as N×H×W×C; volumes and images with transparency are not read", ErrLayout, shape)
}

// images returns the array as images N×C×H×W.
func (a *array) images() ([]uint8, layout, error) {
	lies, err := layoutOf(a.shape)
	if err != nil {
		return nil, layout{}, err
	}
	pixels, err := a.pixels()
	if err != nil {
		return nil, layout{}, err
	}
	if lies.last && lies.channels > 1 {
		pixels = channelsFirst(pixels, lies.channels, lies.height*lies.width)
	}
	return pixels, lies, nil
}

// channelsFirst copies images whose size pixels have their channels side by side to
// images that have channel after channel.
func channelsFirst(pixels []uint8, channels, size int) []uint8 {
	out := make([]uint8, len(pixels))
	if size == 0 {
		return out
	}
	for start := 0; start < len(pixels); start += channels * size {
		from, to := pixels[start:start+channels*size], out[start:start+channels*size]
		for i := range size {
			for c := range channels {
				to[c*size+i] = from[i*channels+c]
			}
		}
	}
	return out
}

// pixels returns the values as bytes. Nothing is clipped and nothing is rounded but what
// the type's own rounding did: integers are within 0…255, and floating-point values are
// whole numbers within 0…255, or multiples of 1/255 within 0…1, the whole array the one
// or the other.
func (a *array) pixels() ([]uint8, error) {
	if a.name == "uint8" {
		return a.data, nil
	}
	scale := 1.0
	if a.float {
		var err error
		if scale, err = a.scale(); err != nil {
			return nil, err
		}
	}
	out := make([]uint8, len(a.data)/a.size)
	for i := range out {
		value := a.value(i)
		pixel := math.Round(value * scale)
		switch {
		case !(pixel >= 0 && pixel <= math.MaxUint8):
			return nil, fmt.Errorf("%w: %s of %s %s; pixels are 0 to 255%s", ErrPixel,
				a.number(value), a.name, a.place(i), a.remedy())
		case math.Abs(value*scale-pixel) > a.slack:
			return nil, fmt.Errorf("%w: %s of %s %s is no multiple of 1/255; round what was "+
				"made of pixels: np.round(255 * images).astype(np.uint8)",
				ErrPixel, a.number(value), a.name, a.place(i))
		}
		out[i] = uint8(pixel)
	}
	return out, nil
}

// scale returns what floating-point values are multiplied by to be pixels: 255 where all
// are within 0…1 and one is no whole number, 1 where all are whole numbers.
func (a *array) scale() (float64, error) {
	fraction, above := -1, -1 // the first that is no whole number, and the first above 1
	one := false
	for i := range len(a.data) / a.size {
		value := a.value(i)
		switch {
		case math.IsNaN(value) || math.IsInf(value, 0) || value < 0:
			return 0, fmt.Errorf("%w: %s of %s %s; pixels are 0 to 255, or 0 to 1%s", ErrPixel,
				a.number(value), a.name, a.place(i), a.remedy())
		case value > 1 && above < 0:
			above = i
		case value == 1:
			one = true
		}
		if fraction < 0 && value != math.Trunc(value) {
			fraction = i
		}
		if fraction >= 0 && above >= 0 {
			return 0, fmt.Errorf("%w: %s of %s %s is above 1, and %s %s is no whole number; "+
				"pixels are whole numbers 0 to 255, or all 0 to 1%s", ErrPixel,
				a.number(a.value(above)), a.name, a.place(above), a.number(a.value(fraction)),
				a.place(fraction), a.remedy())
		}
	}
	switch {
	case fraction >= 0:
		return math.MaxUint8, nil
	case above < 0 && one:
		return 0, fmt.Errorf("%w: all values are 0 or 1 of %s: 1 may be white or the darkest "+
			"grey; store white as 255 of uint8: "+
			"(255 * images).astype(np.uint8)", ErrPixel, a.name)
	}
	return 1, nil
}

func (a *array) remedy() string {
	if a.float {
		return "; store images as they were before they were normalised, as uint8"
	}
	return "; scale the images to that, as uint8"
}

func (a *array) value(i int) float64 { return a.at(a.data[i*a.size:]) }

// number writes a value in as many digits as tell it from others of its type.
func (a *array) number(value float64) string {
	bits := 64
	if a.float && a.size <= 4 {
		bits = 32
	}
	if !a.float {
		return strconv.FormatFloat(value, 'f', -1, bits)
	}
	return strconv.FormatFloat(value, 'g', -1, bits)
}

// place says where element i is, as NumPy would be asked for it: "at [3, 0, 27]".
func (a *array) place(i int) string {
	index := make([]string, len(a.shape))
	for dim, length := range slices.Backward(a.shape) {
		index[dim] = strconv.Itoa(i % length)
		i /= length
	}
	return "at [" + strings.Join(index, ", ") + "]"
}

// labels returns the values as labels, which are integers.
func (a *array) labels() ([]int32, error) {
	if a.float {
		return nil, fmt.Errorf("%w: %s, labels are integers", ErrElementType, a.name)
	}
	out := make([]int32, len(a.data)/a.size)
	for i := range out {
		value := a.value(i)
		if value < math.MinInt32 || value > math.MaxInt32 {
			return nil, fmt.Errorf("%w: %s %s, 0 to %d are possible", ErrLabel, a.number(value),
				a.place(i), MaxClasses-1)
		}
		out[i] = int32(value)
	}
	return out, nil
}

// labelSets returns the labels of each row of N×L values of 0 and 1, in ascending order. onlyOne
// says that each row has a single 1.
func (a *array) labelSets() (sets [][]int32, onlyOne bool, err error) {
	rows, labels := a.shape[0], a.shape[1]
	some := false
	sets, onlyOne = make([][]int32, rows), true
	for row := range sets {
		sets[row] = []int32{}
		for label := range labels {
			switch i := row*labels + label; a.value(i) {
			case 0:
			case 1:
				sets[row] = append(sets[row], int32(label))
			default:
				return nil, false, fmt.Errorf("%w: shape %v is several numbers an image, and %s %s is "+
					"neither 0 nor 1, as labels that an image has or has not; store one class an image, "+
					"or 0 and 1 for each label", ErrRank, a.shape, a.number(a.value(i)), a.place(i))
			}
		}
		onlyOne, some = onlyOne && len(sets[row]) == 1, some || len(sets[row]) > 0
	}
	if !some {
		return nil, false, fmt.Errorf("%w: shape %v is 0 throughout: no image has a label", ErrLabel,
			a.shape)
	}
	return sets, onlyOne, nil
}

// multiLabelSetOf makes a set of an array of images and one of labels, N×L of 0 and 1.
func multiLabelSetOf(name string, images, labels *array, opts Options) (*Set, error) {
	lies, err := layoutOf(images.shape)
	if err != nil {
		return nil, fmt.Errorf("%s: images: %w", name, err)
	}
	if images.shape[0] != labels.shape[0] {
		return nil, fmt.Errorf("%s: %w: %d images, %d rows of labels; take both files from the same set",
			name, ErrCount, images.shape[0], labels.shape[0])
	}
	classes := labels.shape[1]
	if classes < 1 || classes > MaxClasses || opts.Classes != 0 && opts.Classes != classes {
		return nil, fmt.Errorf("%s: labels: %w: %d an image, %d classes were asked for, and 1 to %d are "+
			"possible", name, ErrArgument, classes, opts.Classes, MaxClasses)
	}
	sets, onlyOne, err := labels.labelSets()
	if err != nil {
		return nil, fmt.Errorf("%s: labels: %w", name, err)
	}
	if onlyOne && !opts.MultiLabel {
		return nil, fmt.Errorf("%s: labels: %w: shape %v with a single 1 in each row may be one label "+
			"an image, or any number of them; for one store np.argmax(labels, axis=1), for any number say "+
			"-multi-label", name, ErrRank, labels.shape)
	}
	pixels, _, err := images.images()
	if err != nil {
		return nil, fmt.Errorf("%s: images: %w", name, err)
	}
	return NewMultiLabelSet(name, pixels, sets, lies.channels, lies.height, lies.width, classes)
}

// setOf makes a set of an array of images and an array of labels.
func setOf(name string, images, labels *array, classes int) (*Set, error) {
	lies, err := layoutOf(images.shape)
	if err != nil {
		return nil, fmt.Errorf("%s: images: %w", name, err)
	}
	if len(labels.shape) != 1 {
		return nil, fmt.Errorf("%s: labels: %w: shape %v, labels have 1", name, ErrRank,
			labels.shape)
	}
	if images.shape[0] != labels.shape[0] {
		return nil, fmt.Errorf("%s: %w: %d images, %d labels; take both files from the same set",
			name, ErrCount, images.shape[0], labels.shape[0])
	}
	numbers, err := labels.labels()
	if err != nil {
		return nil, fmt.Errorf("%s: labels: %w", name, err)
	}
	pixels, _, err := images.images()
	if err != nil {
		return nil, fmt.Errorf("%s: images: %w", name, err)
	}
	return NewSet(name, pixels, numbers, lies.channels, lies.height, lies.width, classes)
}
