package picture

import "fmt"

// DefaultMaxPixels and DefaultMaxBytes are the limits where Options say nothing.
const (
	DefaultMaxPixels = 100_000_000
	DefaultMaxBytes  = 256 << 20
)

// Options say what is wanted of a picture. The zero value takes pictures as they are, transparent
// ones on white.
type Options struct {
	// Channels is 1 for grey, 3 for colour, and 0 for what the file has. A palette is colour,
	// whatever is in it.
	Channels int
	// Background lies behind what is transparent; nil is white, as the pages that such pictures are
	// made for.
	Background *Colour
	// MaxPixels is the largest width times height; a picture above it is refused from its header. 0
	// is DefaultMaxPixels.
	MaxPixels int
	// MaxBytes is the largest length of a file. 0 is DefaultMaxBytes.
	MaxBytes int
}

func (o Options) complete() (Options, error) {
	if o.Channels != 0 && o.Channels != 1 && o.Channels != 3 {
		return o, fmt.Errorf(
			"picture: %d channels are asked for; 1 is grey, 3 colour, 0 what the file has",
			o.Channels)
	}
	if o.MaxPixels < 0 || o.MaxBytes < 0 {
		return o, fmt.Errorf("picture: negative limits (%d pixels, %d bytes); 0 is the default",
			o.MaxPixels, o.MaxBytes)
	}
	if o.Background == nil {
		white := White()
		o.Background = &white
	}
	if o.MaxPixels == 0 {
		o.MaxPixels = DefaultMaxPixels
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	return o, nil
}
