package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/display"
	"slipway/internal/nearest"
	"slipway/pretrained"
)

// loadPretrained loads -from's network where that is a pretrained one's name, which has neither a
// dot nor a slash as a path does. Pictures come to its size and are fed as it was trained with,
// unless -resize and -pixels say otherwise.
func (o *options) loadPretrained(ctx context.Context, out io.Writer) error {
	if o.from == "" || strings.ContainsAny(o.from, `./\`) {
		return nil
	}
	if !pretrained.Has(o.from) {
		if _, err := os.Stat(o.from); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("-from %s: no pretrained network is called so, and no file%s; "+
				"there are %s, or give an ONNX file", o.from, nearest.Hint(o.from, pretrained.Names()),
				strings.Join(pretrained.Names(), ", "))
		}
		return nil
	}
	wanted := pretrained.Options{Messages: out}
	if sizing := o.pictures.Sizing; sizing != nil {
		wanted.Height, wanted.Width = sizing.Height, sizing.Width
	}
	model, err := pretrained.Load(ctx, o.from, wanted)
	if err != nil {
		return fmt.Errorf("-from: %w", err)
	}
	o.pretrained = model
	if o.pictures.Sizing == nil {
		o.pictures.Sizing = &model.Sizing
	}
	if !o.given["pixels"] {
		o.config.Pixels = model.Pixels
	}
	fmt.Fprintf(out, "%s: %s; licence %s\n", model.Name, model.Attribution, model.Licence)
	return nil
}

// tellClasses says what becomes of the classes that a pretrained network knows, where it keeps its
// classifier and the set's classes are others.
func (o *options) tellClasses(network *builder.Network, sets sets, out io.Writer) {
	name, learned := o.from, o.fromClasses
	if o.pretrained != nil {
		name, learned = o.pretrained.Name, o.pretrained.ClassNames
	}
	classes, err := network.Classes()
	info := sets.training.Info()
	if err != nil || o.fineTuning.head != "" || classes != len(learned) ||
		slices.Equal(info.ClassNames, learned) {
		return
	}
	fmt.Fprintf(out, "note: %s's classifier was learned for %s other classes, of which the first "+
		"%d are taken for those of %s; -head gives it one of their own\n", name,
		display.Thousands(classes), info.Classes, info.Name)
}

// ownSize takes back the size of -from's network where the set's images have one of their own:
// they fit, or the network says what it takes. Of a model's file it says to which pictures come.
func (o *options) ownSize(set dataset.Source, out io.Writer) {
	switch {
	case o.from == "" || o.given["resize"] || o.pictures.Sizing == nil:
	case len(dataset.FileNames(set)) == 0:
		o.pictures.Sizing = nil
	case o.model != nil:
		fmt.Fprintf(out, "pictures come to the size that %s records: %v\n", o.from, *o.pictures.Sizing)
	}
}

// origin says whose weights the run begins with, empty where they are drawn.
func (o *options) origin() (string, error) {
	switch {
	case o.pretrained != nil:
		return o.pretrained.Attribution + ", " + o.pretrained.Licence, nil
	case o.init != "":
		return pretrained.FileOrigin(o.init, "", "")
	case o.from == "":
		return "", nil
	}
	record, _, err := o.model.TrainingRecord()
	if err != nil {
		return "", fmt.Errorf("%s: its training record: %w", o.from, err)
	}
	return pretrained.FileOrigin(o.from, record.Attribution, record.Licence)
}
