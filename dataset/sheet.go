package dataset

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"strconv"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

// maxSheet bounds a contact sheet, in pixels.
const maxSheet = 1 << 27

// ContactSheet draws the images of those indices, raw, in rows of so many
// columns, each with its label under it. Small images are enlarged by a whole
// factor. Sets of 1 (grey) or 3 (red, green, blue) channels can be drawn.
func ContactSheet(s *Set, indices []int, columns int) (image.Image, error) {
	captions := make([]string, len(indices))
	for k, i := range indices {
		if err := s.checkIndex(i); err != nil {
			return nil, err
		}
		captions[k] = s.labelText(i)
	}
	return CaptionedSheet(s, indices, captions, columns)
}

// SourceSheet draws as ContactSheet does, and reads no other images than those.
func SourceSheet(ctx context.Context, source Source, indices []int,
	columns int) (image.Image, error) {
	info := source.Info()
	size := info.Channels * info.Height * info.Width
	if err := CheckSheet(len(indices), info.Height, info.Width); err != nil {
		return nil, err
	}
	images, labels := make([]uint8, len(indices)*size), make([]int32, len(indices))
	if err := source.Read(ctx, images, labels, indices, 0); err != nil {
		return nil, err
	}
	set, err := newSetOf(info, images, labels)
	if err != nil {
		return nil, err
	}
	all := make([]int, len(indices))
	for i := range all {
		all[i] = i
	}
	return ContactSheet(set, all, columns)
}

// labelText is an image's label for a sheet, or all of several: "0+2".
func (s *Set) labelText(i int) string {
	if s.MultiLabel() {
		info := Info{MultiLabel: true, Combinations: s.Combinations}
		return info.NameOf(s.Labels[i])
	}
	return strconv.Itoa(s.Label(i))
}

// CheckSheet reports images that are too many for one sheet, before they are read.
func CheckSheet(count, height, width int) error {
	if height < 1 || width < 1 || count <= maxSheet/height/width {
		return nil
	}
	return fmt.Errorf("%w: a contact sheet of %d images is too large; take fewer", ErrArgument, count)
}

// CaptionedSheet draws as ContactSheet does, with captions of the caller's own,
// one an image, in ASCII.
func CaptionedSheet(s *Set, indices []int, captions []string, columns int) (image.Image, error) {
	switch {
	case len(captions) != len(indices):
		return nil, fmt.Errorf("%w: contact sheet of %d images with %d captions", ErrArgument,
			len(indices), len(captions))
	case s.Channels != 1 && s.Channels != 3:
		return nil, fmt.Errorf("%s: %w: %d channels, a contact sheet shows 1 or 3", s.Name, ErrArgument,
			s.Channels)
	case len(indices) == 0:
		return nil, fmt.Errorf("contact sheet of %s: %w", s.Name, ErrEmpty)
	case columns < 1:
		return nil, fmt.Errorf("%w: contact sheet of %d columns, at least 1 is needed", ErrArgument,
			columns)
	}
	for _, i := range indices {
		if err := s.checkIndex(i); err != nil {
			return nil, err
		}
	}
	columns = min(columns, len(indices))
	rows := (len(indices)-1)/columns + 1

	const gap, comfortable = 4, 56
	face := basicfont.Face7x13
	longest := 3
	for _, caption := range captions {
		longest = max(longest, len(caption))
	}
	zoom := max(1, comfortable/max(s.Width, s.Height))
	cellWidth := max(s.Width*zoom, longest*face.Advance) + gap
	cellHeight := s.Height*zoom + face.Height + gap
	if rows > maxSheet/cellHeight || columns > maxSheet/cellWidth/(rows*cellHeight) {
		return nil, fmt.Errorf("%w: a contact sheet of %d images is too large; take fewer", ErrArgument,
			len(indices))
	}

	sheet := image.NewRGBA(image.Rect(0, 0, columns*cellWidth+gap, rows*cellHeight+gap))
	draw.Draw(sheet, sheet.Bounds(), image.White, image.Point{}, draw.Src)
	for k, i := range indices {
		x := gap + k%columns*cellWidth
		y := gap + k/columns*cellHeight
		s.drawImage(sheet, i, x+(cellWidth-gap-s.Width*zoom)/2, y, zoom)

		text := captions[k]
		pen := font.Drawer{Dst: sheet, Src: image.NewUniform(color.RGBA{0xb0, 0, 0, 0xff}), Face: face}
		pen.Dot = fixed.P(x+(cellWidth-gap-len(text)*face.Advance)/2, y+s.Height*zoom+face.Ascent)
		pen.DrawString(text)
	}
	return sheet, nil
}

// drawImage enlarges image i by zoom and puts its upper left corner at (left, top).
func (s *Set) drawImage(sheet *image.RGBA, i, left, top, zoom int) {
	pixels, plane := s.Image(i), s.Height*s.Width
	for y := range s.Height * zoom {
		for x := range s.Width * zoom {
			p := y/zoom*s.Width + x/zoom
			c := color.RGBA{pixels[p], pixels[p], pixels[p], 0xff}
			if s.Channels == 3 {
				c.G, c.B = pixels[plane+p], pixels[2*plane+p]
			}
			sheet.SetRGBA(left+x, top+y, c)
		}
	}
}
