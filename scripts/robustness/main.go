// Command robustness writes docs/robustness.md from what infer robustness -csv
// wrote, and draws the contact sheet of all corruptions. scripts/robustness/make-robustness
// runs both.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"slipway/dataset"
	"slipway/internal/atomicfile"
)

// sheetImage is the test image on the contact sheet: a 3 whose strokes are neither
// thick nor thin.
const sheetImage = 18

// errUsage is of a wrong command line, which the exit status tells from a failure.
var errUsage = errors.New("-csv, -o and -sheet are needed, and nothing else")

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "robustness:", err)
		if errors.Is(err, errUsage) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	measured := flag.String("csv", "", "what infer robustness -csv wrote, a `file`")
	report := flag.String("o", "", "Markdown `file` to write")
	sheet := flag.String("sheet", "", "PNG `file` of the contact sheet to write")
	flag.Parse()
	if *measured == "" || *report == "" || *sheet == "" || flag.NArg() > 0 {
		return errUsage
	}
	f, err := os.Open(*measured)
	if err != nil {
		return err
	}
	defer f.Close()
	d, err := read(f)
	if err != nil {
		return fmt.Errorf("%s: %w; make it with infer robustness -csv", *measured, err)
	}
	if len(d.models) != 2 || len(d.models[0].corruptions) == 0 {
		return fmt.Errorf("%s has %d models; the report compares two, on corruptions", *measured,
			len(d.models))
	}
	set, err := dataset.Open(ctx, d.data, dataset.Options{})
	if err != nil {
		return err
	}
	if err := drawSheet(*sheet, set, sheetImage); err != nil {
		return err
	}
	return atomicfile.WriteBytes(*report, d.markdown())
}
