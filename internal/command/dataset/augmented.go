package dataset

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"slipway/dataset"
	"slipway/dataset/augment"
	"slipway/internal/pngfile"
)

// augmented is what -augment and its flags ask for: a sheet of what a network sees.
type augmented struct {
	given bool
	list  augment.List
	epoch int // the first shown, counted from 1 as train does
	seed  uint64
}

// augmentUsage lists the operations, indented.
func augmentUsage() string {
	var b strings.Builder
	for line := range strings.Lines(augment.Usage()) {
		b.WriteString("  " + line)
	}
	return b.String()
}

func (a *augmented) define(flags *flag.FlagSet) {
	const help = "`LIST` of operations between commas: show the images as a network sees them, " +
		"epoch after epoch"
	flags.Func("augment", help, func(text string) (err error) {
		a.list, err = augment.ParseList(text)
		return err
	})
	flags.IntVar(&a.epoch, "epoch", 1, "the first `epoch` that -augment shows")
	flags.Uint64Var(&a.seed, "seed", 0, "decides what chance does in -augment, as train's -seed")
}

// take checks what was given, and fills in how many images there are on a sheet.
func (a *augmented) take(given map[string]bool, o *showOptions) error {
	const cells = 10_000
	a.given = given["augment"]
	if !a.given {
		for _, name := range []string{"epoch", "seed"} {
			if given[name] {
				return fmt.Errorf("-%s says what -augment shows; give an -augment", name)
			}
		}
		return nil
	}
	if !given["n"] {
		o.count = 10
	}
	switch {
	case len(a.list) == 0:
		return errors.New("-augment is empty; give operations, such as flip,shift=2")
	case o.output == "":
		return errors.New("-augment draws a contact sheet, and -o \"\" draws none")
	case a.epoch < 1:
		return fmt.Errorf("-epoch %d: epochs count from 1", a.epoch)
	case o.columns < 2:
		return fmt.Errorf("-columns %d: with -augment at least 2 are needed, an image and an epoch",
			o.columns)
	case o.columns > cells || o.count > cells/o.columns:
		return fmt.Errorf("-n %d -columns %d: more than %d images; take fewer", o.count, o.columns,
			cells)
	}
	return nil
}

// draw writes the sheet: a row an image, the image itself first and then what becomes of it.
// Parts of pictures are taken of them as they were before they came to one size.
func (a *augmented) draw(ctx context.Context, stdout io.Writer, from dataset.Source, indices []int,
	o *showOptions) error {
	source, err := augment.Source(from, a.list, a.seed)
	if err != nil {
		return err
	}
	info := from.Info()
	size, cells := info.Channels*info.Height*info.Width, len(indices)*o.columns
	if err := dataset.CheckSheet(cells, info.Height, info.Width); err != nil {
		return err
	}
	images, labels := make([]uint8, cells*size), make([]int32, cells)
	captions, places := make([]string, cells), make([]int, cells)
	numbers := info // of the labels, since a sheet has ASCII alone
	numbers.ClassNames = nil
	for cell := range cells {
		if err := ctx.Err(); err != nil {
			return err
		}
		index, later := indices[cell/o.columns], cell%o.columns
		places[cell] = cell
		// Training counts epochs from 0.
		read, epoch := from, a.epoch+later-1
		if later > 0 {
			read = source
		}
		if err := read.Read(ctx, images[cell*size:], labels[cell:], []int{index}, epoch-1); err != nil {
			return err
		}
		captions[cell] = fmt.Sprintf("epoch %d", epoch)
		if later == 0 {
			captions[cell] = numbers.NameOf(labels[cell])
		}
	}
	sheet, err := dataset.NewSet(info.Name, images, make([]int32, cells), info.Channels,
		info.Height, info.Width, 0)
	if err != nil {
		return err
	}
	picture, err := dataset.CaptionedSheet(sheet, places, captions, o.columns)
	if err != nil {
		return err
	}
	if err := pngfile.Write(o.output, picture); err != nil {
		return fmt.Errorf("-o: %w", err)
	}
	_, err = fmt.Fprintf(stdout, "contact sheet of %d images in epochs %d to %d, %v, seed %d: %s\n",
		len(indices), a.epoch, a.epoch+o.columns-2, a.list, a.seed, o.output)
	return err
}
