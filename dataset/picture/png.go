package picture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image/png"
)

// The places in a PNG's first chunk, IHDR, which is always where it is.
const (
	pngWidth      = 16
	pngHeight     = 20
	pngDepth      = 24
	pngColourType = 25
	pngHeaderEnd  = 33
)

// pngSamples is how many samples a pixel has in each colour type: grey, RGB, palette, grey and opacity, RGB and opacity; 0 in none.
func pngSamples(colourType byte) int {
	switch colourType {
	case 0, 3:
		return 1
	case 2:
		return 3
	case 4:
		return 2
	case 6:
		return 4
	}
	return 0
}

func configPNG(data []byte) (Config, error) {
	if len(data) < pngHeaderEnd {
		return Config{}, fmt.Errorf("its %d bytes end in the header: %w", len(data), ErrTruncated)
	}
	colourType := data[pngColourType]
	if string(data[12:16]) != "IHDR" || pngSamples(colourType) == 0 {
		return Config{}, fmt.Errorf("its header is none: %w", ErrDamaged)
	}
	config := Config{
		Channels:    3,
		Height:      int(binary.BigEndian.Uint32(data[pngHeight:])),
		Width:       int(binary.BigEndian.Uint32(data[pngWidth:])),
		Orientation: 1,
	}
	if colourType == 0 || colourType == 4 {
		config.Channels = 1
	}
	// The chunk eXIf may come before the pixels or after them. A file that is cut off is for decodePNG to refuse.
	_ = eachPNGChunk(data, func(name string, body []byte) {
		if name == "eXIf" {
			config.Orientation = orientationOf(body)
		}
	})
	return config, nil
}

// eachPNGChunk goes through the chunks up to the last, IEND.
func eachPNGChunk(data []byte, f func(name string, body []byte)) error {
	for at := 8; at+8 <= len(data); {
		length, name := int64(binary.BigEndian.Uint32(data[at:])), string(data[at+4:at+8])
		if length > int64(len(data)-at-12) {
			return fmt.Errorf("its %d bytes end in the part %q: %w", len(data), name, ErrTruncated)
		}
		f(name, data[at+8:at+8+int(length)])
		at += 12 + int(length)
		if name == "IEND" {
			return nil
		}
	}
	return fmt.Errorf("its %d bytes end before its last part: %w", len(data), ErrTruncated)
}

func decodePNG(data []byte, config Config) (*raster, error) {
	if err := eachPNGChunk(data, func(string, []byte) {}); err != nil {
		return nil, err
	}
	bits := int(data[pngDepth]) * pngSamples(data[pngColourType])
	// Deflate makes no more than 1032 bytes of one.
	if err := holds(data, 1032, config.Width, config.Height, bits); err != nil {
		return nil, err
	}
	decoded, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	r, err := fromStandard(decoded)
	if err == nil && config.Channels == 1 && r.Channels == 3 {
		// Grey with transparency comes as three equal channels.
		r.Image = &Image{1, r.Height, r.Width, r.plane(0)}
	}
	return r, err
}
