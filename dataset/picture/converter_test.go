package picture

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/color/palette"
	"image/draw"
	"image/png"
	"math/rand/v2"
	"slices"
	"testing"
)

// colours is an image of many colours, opaque and not.
func colours(width, height int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	source := rand.New(rand.NewPCG(1, 2))
	for i := range m.Pix {
		m.Pix[i] = uint8(source.IntN(256))
		if i%4 == 3 && i%12 != 3 {
			m.Pix[i] = 255
		}
	}
	return m
}

// Colours are taken over as color.NRGBAModel converts them, which what is laid on white is made
// of, from every type of image and in memory that other images have used.
func TestConvertTakesColoursAsTheyAre(t *testing.T) {
	var c Converter
	from := colours(23, 17)
	for _, to := range []draw.Image{
		from, image.NewRGBA(from.Rect), image.NewRGBA64(from.Rect),
		image.NewGray(from.Rect), image.NewGray16(from.Rect), image.NewCMYK(from.Rect),
		image.NewPaletted(from.Rect,
			append(palette.Plan9[:250:250], color.Transparent, color.NRGBA{1, 2, 3, 4})),
		image.NewAlpha(from.Rect),
	} {
		if to != draw.Image(from) {
			draw.Draw(to, to.Bounds(), from, image.Point{}, draw.Src)
		}
		got, err := c.Convert(to, Options{Channels: 3})
		if err != nil {
			t.Fatal(err)
		}
		for y := range 17 {
			for x := range 23 {
				want := color.NRGBAModel.Convert(to.At(x, y)).(color.NRGBA)
				for channel, v := range []uint8{want.R, want.G, want.B} {
					if g, w := got.plane(channel)[y*23+x], blend(v, 255, want.A); g != w {
						t.Fatalf("%T: channel %d of (%d, %d) is %d, want %d", to, channel, x, y, g,
							w)
					}
				}
			}
		}
	}
	photograph := image.NewYCbCr(image.Rect(0, 0, 21, 13), image.YCbCrSubsampleRatio410)
	for i := range photograph.Y {
		photograph.Y[i] = uint8(37 * i)
	}
	for i := range photograph.Cb {
		photograph.Cb[i], photograph.Cr[i] = uint8(91*i), uint8(53*i)
	}
	part := photograph.SubImage(image.Rect(3, 2, 18, 11))
	got, err := c.Convert(part, Options{})
	if err != nil || got.Height != 9 || got.Width != 15 {
		t.Fatalf("%+v, %v", got, err)
	}
	for y := range 9 {
		for x := range 15 {
			want := color.NRGBAModel.Convert(part.At(3+x, 2+y)).(color.NRGBA)
			if at := y*15 + x; got.plane(0)[at] != want.R || got.plane(1)[at] != want.G ||
				got.plane(2)[at] != want.B {
				t.Fatalf("(%d, %d) is not %v", x, y, want)
			}
		}
	}
}

// What Convert makes of a PNG that was decoded elsewhere is what Decode makes of the file.
func TestConvertIsDecodeOfAnImage(t *testing.T) {
	var c Converter
	for _, m := range []image.Image{colours(9, 5), image.NewGray(image.Rect(0, 0, 3, 2))} {
		var file bytes.Buffer
		if err := png.Encode(&file, m); err != nil {
			t.Fatal(err)
		}
		for _, channels := range []int{1, 3} {
			options := Options{Channels: channels, Background: &Colour{200, 100, 50}}
			want, err := Decode(file.Bytes(), options)
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Convert(m, options)
			if err != nil || got.Channels != channels || !slices.Equal(got.Pixels, want.Pixels) {
				t.Errorf("%T in %d channels: %v", m, channels, err)
			}
		}
	}
}

func TestConvertRefuses(t *testing.T) {
	var c Converter
	for name, m := range map[string]image.Image{"none": nil,
		"empty": image.NewGray(image.Rect(0, 0, 0, 9))} {
		if got, err := c.Convert(m, Options{}); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
	// A million by a million pixels of one colour, which no memory holds.
	endless := &image.Uniform{C: color.White}
	if _, err := c.Convert(endless, Options{}); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if _, err := c.Convert(colours(2, 2), Options{Channels: 2}); err == nil {
		t.Error("two channels are made")
	}
}
