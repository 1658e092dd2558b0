package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"slipway/dataset"
	"slipway/internal/cli"
)

const packUsage = `dataset pack writes a set to one tar file, as webdataset does, or to a folder of IDX
files. Pictures go into the tar as they are, other images as PNGs; -resize makes PNGs of
all. Nothing is overwritten.

Examples:
  dataset pack -o own-train.tar own:train
  dataset pack -o digits.tar t10k
  dataset pack -o own-64 -format idx -resize 64 own:train

Flags:
`

const (
	formatTar = "tar"
	formatIDX = "idx"
)

// packOptions is what the command line of dataset pack asks for.
type packOptions struct {
	set, output, format string
	pictures            cli.Pictures
}

func parsePack(args []string, stdout io.Writer) (*packOptions, error) {
	o := &packOptions{}
	flags := cli.NewFlagSet("dataset pack", packUsage, stdout)
	flags.StringVar(&o.output, "o", "", "tar `file`, or folder of IDX files, to write")
	cli.Choice(flags, &o.format, "format", "", []string{formatTar, formatIDX},
		"what to write; tar where -o ends in .tar")
	o.pictures.Define(flags)
	sets, err := parseOperands(flags, args, cli.DataSets{})
	if err != nil {
		return nil, err
	}
	if err := o.pictures.Take(cli.Given(flags)); err != nil {
		return nil, usageError{err}
	}
	isTar := strings.HasSuffix(strings.ToLower(o.output), ".tar")
	if o.format == "" && isTar {
		o.format = formatTar
	}
	switch {
	case len(sets) == 0:
		return nil, usageError{errors.New("which set? give a word, a folder or a file, as for -data")}
	case len(sets) > 1:
		return nil, usageError{fmt.Errorf("unexpected argument %q: one set is packed at a time",
			sets[1])}
	case o.output == "":
		return nil, usageError{errors.New("where to? give -o a file that ends in .tar, or a " +
			"folder with -format idx")}
	case o.format == "":
		return nil, usageError{fmt.Errorf("-o %s: a name that ends in .tar is a tar file; for a "+
			"folder of IDX files say -format idx", o.output)}
	case o.format == formatTar && !isTar:
		return nil, usageError{fmt.Errorf("-o %s: give the tar file a name that ends in .tar",
			o.output)}
	case o.format == formatIDX && isTar:
		return nil, usageError{fmt.Errorf("-o %s: IDX files go into a folder; give a name that "+
			"does not end in .tar", o.output)}
	}
	o.set = sets[0]
	return o, nil
}

func pack(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parsePack(args, stdout)
	if err != nil {
		return err
	}
	write := dataset.PackTar
	if o.format == formatIDX {
		write = dataset.PackIDX
	}
	packed, err := write(ctx, o.output, o.set, o.pictures.Apply(dataset.Options{Messages: stderr}))
	if err != nil {
		return err
	}
	left := ""
	if packed.LeftOut > 0 {
		left = fmt.Sprintf(", %d left out", packed.LeftOut)
	}
	_, err = fmt.Fprintf(stdout, "%d images of %d classes%s: %s\n", packed.Images, packed.Classes,
		left, strings.Join(packed.Files, ", "))
	return err
}
