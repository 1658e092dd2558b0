package picture

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Fit is what becomes of an image whose sides are not in the proportion that is wanted.
type Fit int

const (
	Crop   Fit = iota // it is scaled to cover the size, and the middle is taken
	Pad               // it is scaled to lie within the size, and the background surrounds it
	Squash            // its proportion is changed
)

// String is "crop", "pad" or "squash".
func (f Fit) String() string {
	switch f {
	case Crop:
		return "crop"
	case Pad:
		return "pad"
	case Squash:
		return "squash"
	}
	return fmt.Sprintf("fit %d", int(f))
}

// ParseFit reads what String writes.
func ParseFit(text string) (Fit, error) {
	for _, f := range []Fit{Crop, Pad, Squash} {
		if text == f.String() {
			return f, nil
		}
	}
	return 0, fmt.Errorf("the fit %q is unknown; crop, pad and squash are known", text)
}

// Sizing is how images of any size become images of one. It is a value: equal sizings make equal
// images.
//
// Crop is torchvision's Resize and CenterCrop, with their rounding, where height and width are
// equal: with a Share, the Resize is to the size divided by it and rounded down, as in timm, so
// that 224 and 0.875 are Resize(256) and CenterCrop(224). Pad is Pillow's ImageOps.pad; Squash is
// its Image.resize.
type Sizing struct {
	Height, Width int
	Fit           Fit
	// Share is what Crop takes of the scaled image's shorter side, above 0 and below 1; 0 is all
	// of it.
	Share      float64
	Filter     Filter
	Background Colour // around padded images
}

// String writes the sizing as models record it, height before width: "resize 224×224 crop
// bilinear", for a share "resize 224×224 crop=0.875 bicubic", and for a background other than black
// "resize 64×96 pad bicubic on #ffffff".
func (s Sizing) String() string {
	text := fmt.Sprintf("resize %d×%d %s %v", s.Height, s.Width, s.fit(), s.Filter)
	if s.Fit == Pad && s.Background != (Colour{}) {
		text += " on " + s.Background.String()
	}
	return text
}

// fit is the fit with its share.
func (s Sizing) fit() string {
	if s.Share == 0 {
		return s.Fit.String()
	}
	return s.Fit.String() + "=" + strconv.FormatFloat(s.Share, 'g', -1, 64)
}

// setFit reads what fit writes. A share of 1 is none.
func (s *Sizing) setFit(text string) (err error) {
	name, share, shared := strings.Cut(text, "=")
	if s.Fit, err = ParseFit(name); err != nil || !shared {
		return err
	}
	if s.Share, err = strconv.ParseFloat(share, 64); err != nil {
		return fmt.Errorf("the fit %q: the share is not a number, such as in %v=0.875", text, Crop)
	}
	if s.Share == 1 {
		s.Share = 0
		return nil
	}
	if s.Share == 0 {
		return fmt.Errorf("the fit %q: the share is above 0 and at most 1", text)
	}
	return s.checkShare()
}

// NewSizing makes a sizing of words as commands take them: a size such as 224 or 48x64, height
// before width, and the names of a fit, perhaps with a share (crop=0.875), and a filter, of which
// empty ones stand for Crop and Bilinear. The error says which word it is about.
func NewSizing(size, fit, filter string) (s Sizing, err error) {
	height, width, two := strings.Cut(size, "x")
	if !two {
		width = height
	}
	var heightErr, widthErr error
	s.Height, heightErr = strconv.Atoi(height)
	s.Width, widthErr = strconv.Atoi(width)
	if heightErr != nil || widthErr != nil {
		return s, fmt.Errorf(
			"resize %q is neither a number of pixels nor HEIGHTxWIDTH, such as 224 or 48x64", size)
	}
	if fit != "" {
		if err = s.setFit(fit); err != nil {
			return s, fmt.Errorf("fit: %w", err)
		}
	}
	if filter != "" {
		if s.Filter, err = ParseFilter(filter); err != nil {
			return s, fmt.Errorf("filter: %w", err)
		}
	}
	if err := s.Check(); err != nil {
		return s, fmt.Errorf("resize %s: %w", size, err)
	}
	return s, nil
}

// ParseSizing reads what String writes, also with an x for the ×.
func ParseSizing(text string) (Sizing, error) {
	s, err := parseSizing(strings.Fields(text))
	if err != nil {
		return Sizing{}, fmt.Errorf("the sizing %q: %w", text, err)
	}
	return s, nil
}

func parseSizing(words []string) (s Sizing, err error) {
	on := len(words) == 6 && words[4] == "on"
	if len(words) != 4 && !on || words[0] != "resize" {
		return s, errors.New(
			"write it like \"resize 64×96 pad bicubic on #ffffff\"; the colour is for pad alone")
	}
	size := strings.Replace(words[1], "x", "×", 1)
	_, err = fmt.Sscanf(size, "%d×%d", &s.Height, &s.Width)
	if err != nil || fmt.Sprintf("%d×%d", s.Height, s.Width) != size {
		return s, fmt.Errorf("the size %q is none; write height×width, like 224×224", words[1])
	}
	if err = s.setFit(words[2]); err != nil {
		return s, err
	}
	if s.Filter, err = ParseFilter(words[3]); err != nil {
		return s, err
	}
	if on {
		if s.Fit != Pad {
			return s, errors.New("a background is for pad alone")
		}
		if s.Background, err = ParseColour(words[5]); err != nil {
			return s, err
		}
	}
	return s, s.Check()
}

// Check says what is wrong with a sizing.
func (s Sizing) Check() error {
	if err := checkSize(s.Height, s.Width); err != nil {
		return err
	}
	if s.Fit != Crop && s.Fit != Pad && s.Fit != Squash {
		return fmt.Errorf("picture: %v is unknown; there are Crop, Pad and Squash", s.Fit)
	}
	if err := s.checkShare(); err != nil {
		return err
	}
	return s.Filter.check()
}

// checkShare says what is wrong with Share.
func (s Sizing) checkShare() error {
	switch {
	case s.Share == 0:
		return nil
	case s.Fit != Crop:
		return fmt.Errorf("picture: a share of %v is for crop alone, not for %v", s.Share, s.Fit)
	case !(s.Share > 0 && s.Share < 1):
		return fmt.Errorf(
			"picture: crop takes a share of %v of the scaled picture; it is above 0 and at most 1", s.Share)
	}
	covered := s.covered()
	if err := checkSize(covered.Height, covered.Width); err != nil {
		return fmt.Errorf("%w; that is %d×%d by the share %v", err, s.Height, s.Width, s.Share)
	}
	return nil
}

// covered is the size that the scaled image covers, of which crop takes the middle.
func (s Sizing) covered() Sizing {
	if s.Share > 0 {
		side := func(n int) int { return int(min(math.Floor(float64(n)/s.Share), MaxSide+1)) }
		s.Height, s.Width = side(s.Height), side(s.Width)
	}
	return s
}

// Apply makes an image of the sizing's size.
func (s Sizing) Apply(m *Image) (*Image, error) {
	out := &Image{}
	return out, new(Resizer).Fit(out, m, s)
}

// Fit makes of the image m one of the sizing's size, in out, whose Pixels are used again if they
// are large enough. Out must not be m.
func (r *Resizer) Fit(out, m *Image, s Sizing) error {
	if err := m.check(); err != nil {
		return err
	}
	if err := s.Check(); err != nil {
		return err
	}
	switch s.Fit {
	case Crop:
		height, width := s.covered().covering(m.Height, m.Width)
		w := window{halfOf(height - s.Height), halfOf(width - s.Width), s.Height, s.Width}
		return r.window(out, m, m.Bounds(), height, width, w, s.Filter)
	case Pad:
		return r.pad(out, m, s)
	}
	return r.Resize(out, m, m.Bounds(), s.Height, s.Width, s.Filter)
}

func (r *Resizer) pad(out, m *Image, s Sizing) error {
	height, width := s.within(m.Height, m.Width)
	if height == s.Height && width == s.Width {
		return r.Resize(out, m, m.Bounds(), height, width, s.Filter)
	}
	if err := r.Resize(&r.padded, m, m.Bounds(), height, width, s.Filter); err != nil {
		return err
	}
	out.Channels, out.Height, out.Width = m.Channels, s.Height, s.Width
	out.Pixels = atLeast(out.Pixels, m.Channels*s.Height*s.Width)
	top, left := halfOf(s.Height-height), halfOf(s.Width-width)
	for c := range m.Channels {
		plane, inner := out.plane(c), r.padded.plane(c)
		background := s.Background.channel(c, m.Channels)
		for i := range plane {
			plane[i] = background
		}
		for y := range height {
			copy(plane[(top+y)*s.Width+left:], inner[y*width:][:width])
		}
	}
	return nil
}

// covering is the size in an image's proportion that covers the sizing's: one side is the same, the
// other is rounded down.
func (s Sizing) covering(height, width int) (scaledHeight, scaledWidth int) {
	if width*s.Height >= height*s.Width {
		return s.Height, width * s.Height / height
	}
	return height * s.Width / width, s.Width
}

// within is the size in an image's proportion that lies within the sizing's: one side is the same,
// the other is rounded.
func (s Sizing) within(height, width int) (scaledHeight, scaledWidth int) {
	ratio, wanted := float64(width)/float64(height), float64(s.Width)/float64(s.Height)
	switch {
	case ratio > wanted:
		return rounded(float64(height) / float64(width) * float64(s.Width)), s.Width
	case ratio < wanted:
		return s.Height, rounded(float64(width) / float64(height) * float64(s.Height))
	}
	return s.Height, s.Width
}

// rounded is Python's round, at least a pixel.
func rounded(v float64) int { return max(int(math.RoundToEven(v)), 1) }

// halfOf is Python's round(n / 2): halves go to the even side.
func halfOf(n int) int { return int(math.RoundToEven(float64(n) / 2)) }
