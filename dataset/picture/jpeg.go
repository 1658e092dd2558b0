package picture

import (
	"context"

	"slipway/dataset/picture/internal/jpeg"
)

func configJPEG(data []byte) (Config, error) {
	header, err := jpeg.DecodeHeader(data)
	if err != nil {
		return Config{}, err
	}
	config := Config{Channels: 3, Height: header.Height, Width: header.Width, Orientation: 1}
	if header.Components == 1 {
		config.Channels = 1
	}
	if header.Exif != nil {
		config.Orientation = orientationOf(header.Exif)
	}
	return config, nil
}

func decodeJPEG(ctx context.Context, data []byte, _ Config) (*raster, error) {
	decoded, err := jpeg.Decode(ctx, data)
	if err != nil {
		return nil, err
	}
	return &raster{Image: &Image{decoded.Channels, decoded.Height, decoded.Width, decoded.Pixels}}, nil
}
