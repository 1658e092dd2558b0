package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"slipway/dataset"
	"slipway/internal/cli"
	"slipway/internal/display"
)

const showUsage = `dataset show prints what a data set holds: shapes, statistics, how even the
classes are, sizes of pictures, all damaged files, images that are there twice, and those
that are in the test set, too. It draws some images, each with its label, on a contact
sheet. Pictures need not fit into memory. Damaged files end it with exit code 1, unless
-skip-damaged says that they are to be left out.

Examples:
  dataset show -o digits.png t10k
  dataset show -data ~/fashion-mnist:train -n 36 -columns 6
  dataset show -data own:train -against own:t10k -v
  dataset show -data own:train -resize 64 -augment crop=8,flip,color-jitter=0.4:0.4 -n 5

With -augment each row is an image, and what becomes of it epoch after epoch.
The operations, and their settings where nothing is said:
`

// noSet is the word of -against that asks for no comparison.
const noSet = "none"

// showOptions is what the command line of dataset show asks for.
type showOptions struct {
	data, dataDir, output   string
	labels, against         string
	pictures                cli.Pictures
	classes, count, columns int // classes is 0 where they are not given
	augmented               augmented
	verbose                 bool
	sheetGiven              bool // flags of the sheet were given
}

func parseShow(args []string, stdout io.Writer) (*showOptions, error) {
	o := &showOptions{}
	flags := cli.NewFlagSet("dataset show", showUsage+augmentUsage()+"\nFlags:\n", stdout)
	cli.Suggest(flags, &o.data, "data", "t10k", cli.DataSets{},
		"`set`: t10k, train, optdigits, fashion, cifar10, cifar100, a folder (with :train or :test when it holds both), or a file: IDX, .npy, .npz, .csv, .tar, .parquet")
	cli.Suggest(flags, &o.against, "against", "", cli.DataSets{},
		"`set` whose images are looked for in -data, or none; the test set that belongs to -data if empty")
	flags.StringVar(&o.dataDir, "data-dir", "",
		"`folder` with MNIST's training files, for -data train")
	flags.IntVar(&o.classes, "classes", 0,
		"`number` of classes of a set from files; as many as its labels ask for if 0")
	flags.StringVar(&o.labels, "labels", "", "`file` of the classes' names, one a line")
	o.pictures.DefineReading(flags)
	flags.StringVar(&o.output, "o", "sheet.png", "PNG `file` of the contact sheet; \"\" draws none")
	flags.IntVar(&o.count, "n", 100,
		"`number` of images on the contact sheet: the first, or of folders of pictures some of each")
	flags.IntVar(&o.columns, "columns", 10, "`number` of images in a row")
	flags.BoolVar(&o.verbose, "v", false,
		"name all classes, files and images that a line is about, not the first few")
	o.augmented.define(flags)
	sets, err := parseOperands(flags, args, cli.DataSets{})
	if err != nil {
		return nil, err
	}
	given := cli.Given(flags)
	switch {
	case len(sets) == 0:
	case given["data"] || len(sets) > 1:
		return nil, usageError{fmt.Errorf("unexpected argument %q: one set is shown at a time",
			sets[len(sets)-1])}
	default:
		o.data = sets[0]
	}
	o.sheetGiven = given["o"] || given["n"] || given["columns"] || given["augment"]
	if err := o.augmented.take(given, o); err != nil {
		return nil, usageError{err}
	}
	if err := o.pictures.Take(given); err != nil {
		return nil, usageError{err}
	}
	if err := o.check(given); err != nil {
		return nil, usageError{err}
	}
	return o, nil
}

// check reports what the flags cannot mean.
func (o *showOptions) check(given map[string]bool) error {
	switch {
	case given["classes"] && (o.classes < 1 || o.classes > dataset.MaxClasses):
		return fmt.Errorf("-classes %d: 1 to %d are possible", o.classes, dataset.MaxClasses)
	case given["classes"] && given["labels"]:
		return errors.New("-classes and -labels each say how many classes there are; give one of them")
	case given["against"] && o.against == "":
		return fmt.Errorf("-against is empty; give a set, or %s", noSet)
	case o.count < 1:
		return fmt.Errorf("-n %d: at least 1 image is needed; -o \"\" draws no sheet", o.count)
	case o.columns < 1:
		return fmt.Errorf("-columns %d: at least 1 is needed", o.columns)
	case o.output == "" && (given["n"] || given["columns"]):
		return errors.New("-n and -columns apply to a contact sheet, and -o \"\" draws none")
	case o.dataDir != "" && o.data != string(dataset.Train):
		return fmt.Errorf("-data-dir applies to -data train alone, not to %q", o.data)
	case given["data-dir"] && o.dataDir == "":
		return errors.New("-data-dir is empty")
	case o.output != "" && !strings.EqualFold(filepath.Ext(o.output), ".png"):
		return fmt.Errorf("-o %s: the contact sheet is a PNG, give a name that ends in .png", o.output)
	}
	return nil
}

func show(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseShow(args, stdout)
	if err != nil {
		return err
	}
	reading := o.pictures.Apply(dataset.Options{OwnNames: o.labels != "", Messages: stderr})
	opts := reading
	opts.DataDir, opts.Classes = o.dataDir, o.classes
	inspection, err := dataset.Inspect(ctx, o.data, opts)
	if err != nil {
		return err
	}
	if err := o.name(inspection); err != nil {
		return err
	}
	r := &report{out: stdout, inspection: inspection, all: o.verbose}
	if err := r.print(ctx); err != nil {
		return err
	}
	if err := o.compare(ctx, r, reading); err != nil {
		return err
	}
	if err := o.draw(ctx, stdout, inspection); err != nil {
		return err
	}
	if n := len(inspection.Damaged); n > 0 && !o.pictures.SkipDamaged() {
		return fmt.Errorf("%d of %s cannot be read, as listed; -skip-damaged leaves them out",
			n, display.Count(inspection.Files, "file"))
	}
	if inspection.Source.Len() == 0 {
		return fmt.Errorf("%s: %w", o.data, dataset.ErrEmpty)
	}
	return nil
}

// name checks what was given against what the set is, and names its classes.
func (o *showOptions) name(inspection *dataset.Inspection) error {
	if inspection.Files == 0 {
		if err := o.pictures.Check(inspection.Source); err != nil {
			return err
		}
	}
	if o.labels == "" {
		return nil
	}
	names, err := dataset.ReadClassNames(o.labels)
	if err != nil {
		return fmt.Errorf("-labels: %w", err)
	}
	if inspection.Source, err = dataset.WithClassNames(inspection.Source, names); err != nil {
		return fmt.Errorf("-labels: %w", err)
	}
	return nil
}

// compare looks for images that are there twice, and for those of the test set.
func (o *showOptions) compare(ctx context.Context, r *report, reading dataset.Options) error {
	contents, err := dataset.ContentsOf(r.inspection.Source)
	if err != nil {
		return err
	}
	if contents.Len() == 0 {
		return nil
	}
	if err := r.printCopies(contents); err != nil {
		return err
	}
	reading.Part = dataset.Test
	var other *dataset.Contents
	switch o.against {
	case noSet:
		return nil
	case "":
		other, err = dataset.ReadTestContents(ctx, r.inspection.Source, reading)
	default:
		other, err = dataset.ReadContents(ctx, o.against, reading)
	}
	var shared []dataset.SharedImage
	if err == nil && other != nil {
		shared, err = other.Shared(contents)
	}
	switch {
	case err != nil && o.against == "" && ctx.Err() == nil:
		// Nobody has asked for it.
		_, err = fmt.Fprintf(r.out, "shared: not compared with the test set: %v\n", err)
		return err
	case err != nil:
		return fmt.Errorf("-against: %w", err)
	case other == nil:
		return nil
	}
	return r.printShared(contents, other, shared)
}
