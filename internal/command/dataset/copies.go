package dataset

import (
	"bytes"
	"fmt"
	"slices"

	"slipway/dataset"
	"slipway/internal/display"
)

// printCopies prints which images are there more than once, those with different labels
// first.
func (r *report) printCopies(contents *dataset.Contents) error {
	var b bytes.Buffer
	groups := contents.Duplicates()
	var conflicts, agreeing [][]int
	copies := 0
	for _, group := range groups {
		copies += len(group) - 1
		if r.agree(contents, group) {
			agreeing = append(agreeing, group)
		} else {
			conflicts = append(conflicts, group)
		}
	}
	if len(groups) == 0 {
		fmt.Fprintln(&b, "copies: no image is there twice")
	} else {
		fmt.Fprintf(&b, "copies: %s the same as an earlier one\n", areImages(copies, contents.Len(),
			""))
	}
	if n := len(conflicts); n == 1 {
		fmt.Fprintln(&b, "note: an image is there with different labels: one of them is wrong")
	} else if n > 1 {
		fmt.Fprintf(&b,
			"note: %d images are there with different labels: one of them each is wrong\n", n)
	}
	eachOf(r, &b, slices.Concat(conflicts, agreeing), func(group []int) string {
		var names []string
		for _, i := range group {
			name := contents.ImageName(i)
			if !r.agree(contents, group) {
				name += " (" + contents.Class(i) + ")"
			}
			names = append(names, name)
		}
		return r.list(names)
	})
	_, err := r.out.Write(b.Bytes())
	return err
}

// agree reports whether images have the same label.
func (r *report) agree(contents *dataset.Contents, group []int) bool {
	return !slices.ContainsFunc(group, func(i int) bool {
		return !contents.SameClass(group[0], contents, i)
	})
}

// printShared prints which images of another set are in this one, those with different
// labels first.
func (r *report) printShared(contents, other *dataset.Contents,
	shared []dataset.SharedImage) error {
	var b bytes.Buffer
	name := display.Printable(other.SetName())
	if len(shared) == 0 {
		fmt.Fprintf(&b, "shared: no image of %s is in this set\n", name)
	} else {
		fmt.Fprintf(&b,
			"shared: %s in this set, too: they do not tell how a model does on others\n",
			areImages(len(shared), other.Len(), " of "+name))
	}
	agree := func(image dataset.SharedImage) bool {
		return other.SameClass(image.Index, contents, image.First)
	}
	var conflicts, agreeing []dataset.SharedImage
	for _, image := range shared {
		if agree(image) {
			agreeing = append(agreeing, image)
		} else {
			conflicts = append(conflicts, image)
		}
	}
	if n := len(conflicts); n > 0 {
		fmt.Fprintf(&b, "note: %s another label there than here\n", haveImages(n))
	}
	eachOf(r, &b, append(conflicts, agreeing...), func(image dataset.SharedImage) string {
		there, here := other.ImageName(image.Index), contents.ImageName(image.First)
		if !agree(image) {
			there += " (" + other.Class(image.Index) + ")"
			here += " (" + contents.Class(image.First) + ")"
		}
		return display.Printable(there + " there is " + here + " here")
	})
	_, err := r.out.Write(b.Bytes())
	return err
}

// areImages says how many of a set's images are: "3 of 10 images of own:t10k are".
func areImages(n, of int, set string) string {
	verb := "are"
	if n == 1 {
		verb = "is"
	}
	return fmt.Sprintf("%d of %s%s %s", n, display.Count(of, "image"), set, verb)
}

func haveImages(n int) string {
	if n == 1 {
		return "1 image has"
	}
	return fmt.Sprintf("%d images have", n)
}

// eachOf writes a line for each thing, for the first few where not all are asked for.
func eachOf[T any](r *report, b *bytes.Buffer, things []T, line func(T) string) {
	for i, thing := range things {
		if i == named && !r.all {
			fmt.Fprintf(b, "  and %d more; -v names them\n", len(things)-named)
			return
		}
		fmt.Fprintf(b, "  %s\n", line(thing))
	}
}
