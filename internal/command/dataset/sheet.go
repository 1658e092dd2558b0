package dataset

import (
	"context"
	"fmt"
	"io"

	"slipway/dataset"
	"slipway/internal/display"
	"slipway/internal/pngfile"
)

// draw draws the contact sheet where one is asked for, of no other images than are read
// for it.
func (o *showOptions) draw(ctx context.Context, stdout io.Writer,
	inspection *dataset.Inspection) error {
	source := inspection.Source
	switch sizes := len(differentSizes(inspection.Sizes)); {
	case o.output == "" || source.Len() == 0:
		return nil
	case source.Info().Height == 0 && o.sheetGiven:
		return fmt.Errorf("no contact sheet: the pictures are of %s; give them one with -resize",
			display.Count(sizes, "size"))
	case source.Info().Height == 0:
		_, err := fmt.Fprintln(stdout, "no contact sheet: that, too, needs -resize")
		return err
	}
	indices := sheetIndices(source, min(o.count, source.Len()))
	if o.augmented.given {
		return o.augmented.draw(ctx, stdout, source, indices, o)
	}
	sheet, err := dataset.SourceSheet(ctx, source, indices, o.columns)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := pngfile.Write(o.output, sheet); err != nil {
		return fmt.Errorf("-o: %w", err)
	}
	_, err = fmt.Fprintf(stdout, "contact sheet of %d images: %s\n", len(indices), o.output)
	return err
}

// sheetIndices are the images of a contact sheet: the first n, or of folders of pictures some of
// each.
func sheetIndices(source dataset.Source, n int) []int {
	indices := make([]int, n)
	spread := len(dataset.FileNames(source)) > 0 // they lie class by class
	for i := range indices {
		indices[i] = i
		if spread {
			indices[i] = i * source.Len() / n
		}
	}
	return indices
}
