// Package datasettest makes the small sets that tests of several packages train on
// and classify.
package datasettest

import (
	"math/rand/v2"
	"testing"

	"slipway/dataset"
)

// Digits returns the first n images of MNIST's test set.
func Digits(t testing.TB, n int) *dataset.Set {
	t.Helper()
	all, err := dataset.Open(t.Context(), string(dataset.Test), dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	indices := make([]int, n)
	for i := range indices {
		indices[i] = i
	}
	set, err := all.Subset(indices)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// Bars returns n images 1×6×6 of three classes that a small network can tell
// apart: the class's rows are bright.
func Bars(t testing.TB, n int) *dataset.Set {
	t.Helper()
	source := rand.New(rand.NewPCG(1, 2))
	images := make([]uint8, 0, n*36)
	labels := make([]int32, n)
	for i := range labels {
		labels[i] = int32(source.IntN(3))
		for row := range 6 {
			for range 6 {
				pixel := source.IntN(80)
				if row/2 == int(labels[i]) {
					pixel += 150
				}
				images = append(images, uint8(pixel))
			}
		}
	}
	set, err := dataset.NewSet("small", images, labels, 1, 6, 6, 3)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// Stripes returns n images 1×6×6 with any of three labels, that a small network can tell: label k's
// rows are bright. Combinations come as often as others, that of no label too.
func Stripes(t testing.TB, n int) *dataset.Set {
	t.Helper()
	source := rand.New(rand.NewPCG(3, 4))
	images := make([]uint8, 0, n*36)
	labels := make([][]int32, n)
	for i := range labels {
		has := [3]bool{}
		for label := range has {
			if has[label] = source.IntN(2) == 1; has[label] {
				labels[i] = append(labels[i], int32(label))
			}
		}
		for row := range 6 {
			for range 6 {
				pixel := source.IntN(80)
				if has[row/2] {
					pixel += 150
				}
				images = append(images, uint8(pixel))
			}
		}
	}
	set, err := dataset.NewMultiLabelSet("stripes", images, labels, 1, 6, 6, 3)
	if err != nil {
		t.Fatal(err)
	}
	return set
}
