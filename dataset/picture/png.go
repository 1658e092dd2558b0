package picture

import (
	"bytes"
	"encoding/binary"
	"image/png"
)

func configPNG(data []byte) (Config, error) {
	header, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return Config{}, err
	}
	config := Config{Channels: 3, Height: header.Height, Width: header.Width, Orientation: 1}
	if colourType := data[25]; colourType == 0 || colourType == 4 {
		config.Channels = 1
	}
	// The chunk eXIf may come before the pixels or after them.
	for at := 8; at+12 <= len(data); {
		length := int64(binary.BigEndian.Uint32(data[at:]))
		if length > int64(len(data)-at-12) {
			break
		}
		if string(data[at+4:at+8]) == "eXIf" {
			config.Orientation = orientationOf(data[at+8 : at+8+int(length)])
		}
		at += 12 + int(length)
	}
	return config, nil
}

func decodePNG(data []byte, config Config) (*raster, error) {
	samples := [...]int{0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[data[25]]
	// Deflate makes no more than 1032 bytes of one.
	if err := holds(data, 1032, config.Width, config.Height, int(data[24])*samples); err != nil {
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
