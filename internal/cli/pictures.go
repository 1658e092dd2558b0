package cli

import (
	"flag"
	"fmt"

	"slipway/dataset"
	"slipway/dataset/picture"
)

// Pictures are the flags that say how pictures of folders are read.
type Pictures struct {
	resize, fit, filter string
	skipDamaged         bool
	multiLabel          bool
	memory, cache       string
	bytes               int64 // of memory
	// Sizing is what -resize asks for, nil without it.
	Sizing *picture.Sizing
}

// Define defines the flags.
func (p *Pictures) Define(flags *flag.FlagSet) {
	p.DefineReading(flags)
	flags.StringVar(&p.memory, "memory", "2GB",
		"hold at most this `size` of pictures in memory: 500MB, 2GB; more are decoded into a file once, and read from there")
	flags.StringVar(&p.cache, "picture-cache", "",
		"`folder` of such files, none to decode pictures anew in each epoch; that of the user if empty")
}

// DefineReading defines the flags for a command that keeps no pictures.
func (p *Pictures) DefineReading(flags *flag.FlagSet) {
	flags.StringVar(&p.resize, "resize", "", "bring pictures to this `size`: 224, or HEIGHTxWIDTH")
	Suggest(flags, &p.fit, "fit", picture.Crop.String(),
		Words{picture.Crop.String(), picture.Pad.String(), picture.Squash.String(),
			picture.Crop.String() + "=0.875"},
		"how -resize keeps the proportion: crop the middle, crop=0.875 for that share of it, as networks of ImageNet are tested (resize 256, crop 224), pad with black, or squash")
	Choice(flags, &p.filter, "filter", picture.Bilinear.String(), []string{picture.Bilinear.String(),
		picture.Bicubic.String()}, "how -resize interpolates, as Pillow does")
	flags.BoolVar(&p.multiLabel, "multi-label", false,
		"a picture of a list has any number of labels: its label is several parted by | or ;, or empty (docs/multi-label.md)")
	flags.BoolVar(&p.skipDamaged, "skip-damaged", false,
		"leave out pictures that cannot be read, and list them")
}

// Take turns what was given into what it means.
func (p *Pictures) Take(given map[string]bool) error {
	var err error
	if p.memory != "" || given["memory"] {
		if p.bytes, err = ParseBytes(p.memory); err != nil {
			return fmt.Errorf("-memory: %w", err)
		}
	}
	if given["picture-cache"] && p.cache == "" {
		return fmt.Errorf("-picture-cache is empty; give a folder, or %s", dataset.NoPictureCache)
	}
	if p.resize == "" {
		for _, name := range []string{"fit", "filter"} {
			if given[name] {
				return fmt.Errorf("-%s says how -resize goes; give a -resize", name)
			}
		}
		if given["resize"] {
			return fmt.Errorf("-resize is empty; give 224, or HEIGHTxWIDTH")
		}
		return nil
	}
	sizing, err := picture.NewSizing(p.resize, p.fit, p.filter)
	if err != nil {
		return fmt.Errorf("-%w", err)
	}
	p.Sizing = &sizing
	return nil
}

// Apply has the options read pictures so.
func (p *Pictures) Apply(options dataset.Options) dataset.Options {
	options.Sizing, options.SkipDamaged, options.MultiLabel = p.Sizing, p.skipDamaged, p.multiLabel
	options.Memory, options.PictureCache = p.bytes, p.cache
	return options
}

// SkipDamaged reports whether pictures that cannot be read are left out.
func (p *Pictures) SkipDamaged() bool { return p.skipDamaged }

// Check reports -resize of a set that is no folder of pictures.
func (p *Pictures) Check(set dataset.Source) error {
	if p.Sizing != nil && len(dataset.FileNames(set)) == 0 {
		info := set.Info()
		return fmt.Errorf("-resize is for sets of pictures; the images of %s are %d×%d as they are",
			info.Name, info.Height, info.Width)
	}
	return nil
}
