package picture

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/image/bmp"
)

func configBMP(data []byte) (Config, error) {
	header, err := bmp.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return Config{}, err
	}
	return Config{Channels: 3, Height: header.Height, Width: header.Width, Orientation: 1}, nil
}

func decodeBMP(data []byte, config Config) (*raster, error) {
	if err := holds(data, 1, config.Width, config.Height, int(binary.LittleEndian.Uint16(data[28:]))); err != nil {
		return nil, err
	}
	decoded, err := bmp.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return fromStandard(decoded)
}
