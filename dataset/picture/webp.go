package picture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"

	"golang.org/x/image/webp"
)

// webpFrame is what is needed of a WebP file: its canvas, and the chunks of its first frame.
type webpFrame struct {
	width, height int         // of the canvas
	corner        image.Point // of the frame on the canvas
	frameWidth    int
	frameHeight   int
	chunks        []byte // ALPH, if there is one, and VP8 or VP8L, with their headers
	lossless      bool
	alpha         bool
	exif          []byte
}

func configWebP(data []byte) (Config, error) {
	frame, err := readWebP(data)
	if err != nil {
		return Config{}, err
	}
	config := Config{Channels: 3, Height: frame.height, Width: frame.width, Orientation: 1}
	if frame.exif != nil {
		config.Orientation = orientationOf(bytes.TrimPrefix(frame.exif, []byte("Exif\x00\x00")))
	}
	return config, nil
}

// decodeWebP decodes the picture, or an animation's first frame on its canvas. The frame is handed over in a file of its own:
// golang.org/x/image/webp knows no animations, refuses lossless pictures that come with metadata and transparency, and believes an
// extended header whose size is not the picture's.
func decodeWebP(data []byte, config Config) (*raster, error) {
	frame, err := readWebP(data)
	if err != nil {
		return nil, err
	}
	// A lossless picture of one colour takes no bits for its pixels, and 16,384×16,384 at most: its size is held against MaxPixels alone.
	decoded, err := webp.Decode(bytes.NewReader(frame.file()))
	if err != nil {
		return nil, err
	}
	var r *raster
	switch m := decoded.(type) {
	case *image.YCbCr:
		r = fromVP8(m, nil, 0)
	case *image.NYCbCrA:
		r = fromVP8(&m.YCbCr, m.A, m.AStride)
	default:
		if r, err = fromStandard(decoded); err != nil {
			return nil, err
		}
	}
	return r.onCanvas(frame.corner, config.Height, config.Width), nil
}

// file is a WebP file of the frame alone.
func (f *webpFrame) file() []byte {
	size := len(f.chunks) + 4
	if f.alpha {
		size += 18
	}
	out := append(make([]byte, 0, size+8), "RIFF"...)
	out = binary.LittleEndian.AppendUint32(out, uint32(size))
	out = append(out, "WEBP"...)
	if f.alpha {
		const transparent = 1 << 4
		out = append(out, "VP8X\x0a\x00\x00\x00"...)
		out = binary.LittleEndian.AppendUint32(out, transparent)
		out = appendUint24(out, f.frameWidth-1)
		out = appendUint24(out, f.frameHeight-1)
	}
	return append(out, f.chunks...)
}

func appendUint24(out []byte, v int) []byte { return append(out, byte(v), byte(v>>8), byte(v>>16)) }

func uint24(data []byte) int { return int(data[0]) | int(data[1])<<8 | int(data[2])<<16 }

func readWebP(data []byte) (*webpFrame, error) {
	f := &webpFrame{}
	extended, found := false, false
	// Package webp would do without what comes after the picture; but how the picture is to be turned is told there.
	end := int64(binary.LittleEndian.Uint32(data[4:])) + 8
	if end > int64(len(data)) {
		return nil, fmt.Errorf("%d of its %d bytes are there: %w", len(data), end, ErrTruncated)
	}
	err := eachChunk(data[min(12, end):end], func(name string, whole, body []byte) error {
		switch name {
		case "VP8X":
			if len(body) < 10 {
				return fmt.Errorf("its extended header has %d bytes: %w", len(body), ErrDamaged)
			}
			f.width, f.height, extended = uint24(body[4:])+1, uint24(body[7:])+1, true
		case "ANMF":
			if found {
				return nil
			}
			if len(body) < 16 {
				return fmt.Errorf("its first frame has %d bytes: %w", len(body), ErrDamaged)
			}
			f.corner = image.Pt(2*uint24(body), 2*uint24(body[3:]))
			if err := eachChunk(body[16:], f.picture); err != nil {
				return err
			}
			found = true
		case "ALPH", "VP8 ", "VP8L":
			if found {
				return nil
			}
			found = name != "ALPH"
			return f.picture(name, whole, body)
		case "EXIF":
			f.exif = body
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !found || f.frameWidth == 0 {
		return nil, fmt.Errorf("it has no picture: %w", ErrDamaged)
	}
	if !extended {
		f.width, f.height = f.frameWidth, f.frameHeight
	}
	if f.corner.X+f.frameWidth > f.width || f.corner.Y+f.frameHeight > f.height {
		return nil, fmt.Errorf("a frame of %d×%d pixels at (%d, %d) lies outside its canvas of %d×%d: %w",
			f.frameWidth, f.frameHeight, f.corner.X, f.corner.Y, f.width, f.height, ErrDamaged)
	}
	return f, nil
}

// picture takes over the chunks that make up a picture, and reads its size from the picture's own header.
func (f *webpFrame) picture(name string, whole, body []byte) error {
	switch {
	case f.frameWidth > 0:
		return nil
	case name == "ALPH" && len(body) > 0:
		f.alpha = true
	case name == "VP8 " && len(body) >= 10:
		f.frameWidth = int(binary.LittleEndian.Uint16(body[6:])) & 0x3FFF
		f.frameHeight = int(binary.LittleEndian.Uint16(body[8:])) & 0x3FFF
		if string(body[3:6]) != "\x9d\x01\x2a" || f.frameWidth == 0 || f.frameHeight == 0 {
			return fmt.Errorf("its picture's header is none: %w", ErrDamaged)
		}
	case name == "VP8L" && len(body) >= 5:
		bits := binary.LittleEndian.Uint32(body[1:])
		f.frameWidth, f.frameHeight = int(bits&0x3FFF)+1, int(bits>>14&0x3FFF)+1
		f.lossless = true
		f.alpha, f.chunks = false, nil // A lossless picture holds its opacity itself.
	case name == "VP8 ", name == "VP8L":
		return fmt.Errorf("its picture has %d bytes: %w", len(body), ErrTruncated)
	default:
		return nil
	}
	f.chunks = append(f.chunks, whole...)
	if len(whole)%2 == 1 {
		f.chunks = append(f.chunks, 0)
	}
	return nil
}

// eachChunk goes through RIFF chunks: a name, the length of the body, the body, and a byte more where that is odd.
func eachChunk(data []byte, f func(name string, whole, body []byte) error) error {
	for len(data) >= 8 {
		length := int64(binary.LittleEndian.Uint32(data[4:]))
		if length > int64(len(data)-8) {
			return fmt.Errorf("it ends in the part %q: %w", data[:4], ErrTruncated)
		}
		end := 8 + int(length)
		if err := f(string(data[:4]), data[:end], data[8:end]); err != nil {
			return err
		}
		data = data[min(end+end%2, len(data)):]
	}
	return nil
}
