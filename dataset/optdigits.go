package dataset

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"slipway/internal/atomicfile"
	"slipway/internal/fetch"
)

// The wheel that carries the digits, and its member. The wheel of one platform is
// brought everywhere: nothing of it is executed.
const (
	optdigitsRequirement = "scikit-learn==1.9.1 --hash=sha256:52a0703bbc07ad27f560fa63fa68e4c54dd735bfbbf65b4dd3c225dc7547b6df\n"
	optdigitsMember      = "sklearn/datasets/data/digits.csv.gz"
	optdigitsSum         = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"
	optdigitsFile        = "digits.csv.gz"
)

// A digit fills optdigitsBox² of the pixels of an image of mnistSide², as MNIST's do.
const (
	optdigitsSide = 8
	optdigitsMax  = 16 // the value of white
	optdigitsBox  = 20
	mnistSide     = 28
)

func openOptdigits(dir string) (*Set, error) {
	data, err := readOptdigits(dir)
	if err != nil {
		return nil, notBrought(Optdigits, err)
	}
	images, labels, err := parseOptdigits(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, optdigitsFile), err)
	}
	set, err := NewSet(Optdigits, images, labels, 1, mnistSide, mnistSide, mnistClasses)
	if err != nil {
		return nil, err
	}
	set.Place = Optdigits
	return set, nil
}

// readOptdigits reads and verifies the compressed table.
func readOptdigits(dir string) ([]byte, error) {
	path := filepath.Join(dir, optdigitsFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := verifySum(path, data, optdigitsSum); err != nil {
		return nil, err
	}
	return data, nil
}

// parseOptdigits reads rows of 64 values 0…16 and a label.
func parseOptdigits(data []byte) (images []uint8, labels []int32, err error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, nil, readError(err, "gzip header")
	}
	rows := csv.NewReader(z)
	rows.FieldsPerRecord = optdigitsSide*optdigitsSide + 1
	rows.ReuseRecord = true
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return images, labels, nil
		}
		if err != nil {
			return nil, nil, err
		}
		var digit [optdigitsSide * optdigitsSide]int
		for i := range digit {
			if digit[i], err = strconv.Atoi(row[i]); err != nil || digit[i] < 0 || digit[i] > optdigitsMax {
				return nil, nil, fmt.Errorf("line %d: pixel %q, 0 to %d is wanted", len(labels)+1, row[i],
					optdigitsMax)
			}
		}
		label, err := strconv.Atoi(row[len(digit)])
		if err != nil || label < 0 || label >= mnistClasses {
			return nil, nil, fmt.Errorf("line %d: label %q", len(labels)+1, row[len(digit)])
		}
		images = append(images, enlarge(digit)...)
		labels = append(labels, int32(label))
	}
}

// enlarge scales a digit to optdigitsBox² pixels in the middle of an image, by
// bilinear interpolation between the centres of its pixels; around it is black. In
// integers: pixel o of the image lies at (2·(o − margin) + 1)·8/(2·box) − ½ of the digit.
func enlarge(digit [optdigitsSide * optdigitsSide]int) []uint8 {
	const (
		margin = (mnistSide - optdigitsBox) / 2
		unit   = 2 * optdigitsBox // of a pixel of the digit
	)
	at := func(row, column int) int {
		if row < 0 || row >= optdigitsSide || column < 0 || column >= optdigitsSide {
			return 0
		}
		return digit[row*optdigitsSide+column]
	}
	// place returns the pixel at or before o, and how far behind it o lies.
	place := func(o int) (pixel, behind int) {
		n := (2*(o-margin)+1)*optdigitsSide - optdigitsBox + unit*mnistSide // over 0
		return n/unit - mnistSide, n % unit
	}
	image := make([]uint8, 0, mnistSide*mnistSide)
	for y := range mnistSide {
		row, down := place(y)
		for x := range mnistSide {
			column, right := place(x)
			sum := (at(row, column)*(unit-right)+at(row, column+1)*right)*(unit-down) +
				(at(row+1, column)*(unit-right)+at(row+1, column+1)*right)*down
			const white = optdigitsMax * unit * unit
			image = append(image, uint8((sum*255+white/2)/white))
		}
	}
	return image
}

// fetchOptdigits has pip download the wheel and takes the table out of it.
func fetchOptdigits(ctx context.Context, dir string, opts Options) error {
	if _, err := readOptdigits(dir); err == nil {
		return nil
	}
	opts.say("bringing %s, which carries the digits, with pip",
		strings.Fields(optdigitsRequirement)[0])
	data, err := fetch.Wheel(ctx, optdigitsRequirement, optdigitsMember, maxMNISTFile,
		"--implementation", "cp", "--python-version", "3.11", "--abi", "cp311",
		"--platform", "manylinux_2_28_x86_64", "--platform", "manylinux_2_27_x86_64")
	if err != nil {
		return fmt.Errorf(
			"%s could not be brought: %w; install pip and see that it reaches its registry, or put the wheel's %s into %s",
			Optdigits, err, optdigitsMember, dir)
	}
	if err := verifySum(optdigitsMember, data, optdigitsSum); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(dir, optdigitsFile), data)
}

// missing reports whether a set's file is simply not there.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
