package main

import (
	"fmt"

	"slipway/dataset"
	"slipway/dataset/corrupt"
	"slipway/internal/pngfile"
)

// drawSheet draws one image of the set under every corruption: a row a
// corruption, the image itself and then the five strengths.
func drawSheet(path string, set *dataset.Set, image int) error {
	one, err := set.Subset([]int{image})
	if err != nil {
		return err
	}
	var images []uint8
	var captions []string
	for _, name := range corrupt.Names() {
		images = append(images, one.Image(0)...)
		captions = append(captions, name)
		for strength := 1; strength <= corrupt.Strengths; strength++ {
			c := corrupt.Corruption{Name: name, Strength: strength}
			damaged, err := c.Apply(one)
			if err != nil {
				return err
			}
			images = append(images, damaged.Image(0)...)
			captions = append(captions, fmt.Sprint(strength))
		}
	}
	labels := make([]int32, len(captions))
	sheet, err := dataset.NewSet("sheet", images, labels, set.Channels, set.Height, set.Width,
		set.Classes)
	if err != nil {
		return err
	}
	indices := make([]int, len(captions))
	for i := range indices {
		indices[i] = i
	}
	picture, err := dataset.CaptionedSheet(sheet, indices, captions, 2*(1+corrupt.Strengths))
	if err != nil {
		return err
	}
	return pngfile.Write(path, picture)
}
