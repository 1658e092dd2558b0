package main

import (
	"context"
	"fmt"
	"image"

	"slipway/dataset"
)

// images are what all sides are asked about, decoded.
type images struct {
	all           []image.Image // *image.Gray, or *image.RGBA
	width, height int
	what          string // in the page's words
}

// digits are the first images of t10k.
func digits(ctx context.Context, n int) (images, error) {
	source, err := dataset.Open(ctx, string(dataset.Test), dataset.Options{})
	if err != nil {
		return images{}, err
	}
	set, err := dataset.Load(ctx, source)
	if err != nil {
		return images{}, err
	}
	all := make([]image.Image, n)
	for i := range all {
		all[i] = &image.Gray{Pix: set.Image(i), Stride: set.Width,
			Rect: image.Rect(0, 0, set.Width, set.Height)}
	}
	return images{all, set.Width, set.Height, fmt.Sprintf("%d images of t10k", n)}, nil
}

// pictures are n of a folder's, as far from each other as can be, so that all classes are among
// them. No side brings them to size, which each would do otherwise: they have the model's.
func pictures(ctx context.Context, folder string, n int) (images, error) {
	source, err := dataset.OpenSource(ctx, folder, dataset.Options{Channels: 3})
	if err != nil {
		return images{}, err
	}
	info := source.Info()
	n = min(n, source.Len())
	indices := make([]int, n)
	for i := range indices {
		indices[i] = i * source.Len() / n
	}
	size := info.Height * info.Width
	planes := make([]uint8, n*3*size)
	if err := source.Read(ctx, planes, nil, indices, 0); err != nil {
		return images{}, err
	}
	all := make([]image.Image, n)
	for i := range all {
		all[i] = fromPlanes(planes[i*3*size:(i+1)*3*size], info.Width, info.Height)
	}
	what := fmt.Sprintf("%d of %d pictures of %d×%d in %d classes", n, source.Len(), info.Width,
		info.Height, info.Classes)
	return images{all, info.Width, info.Height, what}, nil
}

// fromPlanes is the image of a red, a green and a blue plane.
func fromPlanes(planes []uint8, width, height int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	size := width * height
	for i := range size {
		m.Pix[4*i], m.Pix[4*i+1], m.Pix[4*i+2] = planes[i], planes[size+i], planes[2*size+i]
		m.Pix[4*i+3] = 255
	}
	return m
}
