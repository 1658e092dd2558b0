package picture

import (
	"bytes"
	"fmt"

	"golang.org/x/image/tiff"
)

// configTIFF reads the directory itself: golang.org/x/image/tiff makes a slice as long as each tag says, and does not
// ask whether the samples lie pixel by pixel.
func configTIFF(data []byte) (Config, error) {
	d, err := readDirectory(data)
	if err != nil {
		return Config{}, err
	}
	width, hasWidth := d.number(tagWidth)
	height, hasHeight := d.number(tagHeight)
	photometric, _ := d.number(tagPhotometric)
	if !hasWidth || !hasHeight {
		return Config{}, fmt.Errorf("its first directory has no picture: %w", ErrDamaged)
	}
	if samples, _ := d.number(tagSamples); samples > 1 {
		if planar, ok := d.number(tagPlanar); ok && planar != 1 {
			return Config{}, fmt.Errorf("its colours lie in planes of their own: %w", ErrUnsupported)
		}
	}
	config := Config{Channels: 3, Height: int(min(height, 1<<30)), Width: int(min(width, 1<<30)), Orientation: orientationOf(data)}
	if photometric <= 1 {
		config.Channels = 1
	}
	return config, nil
}

func decodeTIFF(data []byte, config Config) (*raster, error) {
	data, err := boundTIFF(data, config)
	if err != nil {
		return nil, err
	}
	decoded, err := tiff.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return fromStandard(decoded)
}

// boundTIFF keeps the decoder's work within what the picture's size asks for: it decompresses each strip or tile up to the size
// that the tags tell, and follows strips that lie on each other. The bytes that it returns have a sensible number of rows a strip.
func boundTIFF(data []byte, config Config) ([]byte, error) {
	d, err := readDirectory(data)
	if err != nil {
		return nil, err
	}
	if tileWidth, tiled := d.number(tagTileWidth); tiled && tileWidth > 0 {
		tileHeight, _ := d.number(tagTileHeight)
		if int64(tileWidth) > int64(config.Width)+1024 || int64(tileHeight) > int64(config.Height)+1024 {
			return nil, fmt.Errorf("tiles of %d×%d pixels in a picture of %d×%d: %w", tileWidth, tileHeight, config.Width, config.Height, ErrDamaged)
		}
	}
	for _, tag := range []uint16{tagStripByteCounts, tagTileByteCounts} {
		total := int64(0)
		d.numbers(tag, func(v uint32) { total += int64(v) })
		if total > 2*int64(len(data)) {
			return nil, fmt.Errorf("its parts of %d bytes in all are in a file of %d: %w", total, len(data), ErrTruncated)
		}
	}
	for _, entry := range d.entries {
		// No tag's values can be longer than the file.
		if int64(entry.count) > int64(len(data)) {
			return nil, fmt.Errorf("its tag %d has %d values in a file of %d bytes: %w", entry.tag, entry.count, len(data), ErrTruncated)
		}
		if entry.tag != tagRowsPerStrip || entry.count != 1 || entry.kind != 4 {
			continue
		}
		// "One strip" is often written as the largest number there is.
		if d.order.Uint32(data[entry.value:]) > uint32(config.Height) {
			data = bytes.Clone(data)
			d.order.PutUint32(data[entry.value:], uint32(config.Height))
		}
	}
	// The weakest compression that is read makes 64 bytes of one, the strongest 1032; of one-bit faxes it is more.
	return data, holds(data, 16*1032, config.Width, config.Height, 1)
}
