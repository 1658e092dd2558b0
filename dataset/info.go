package dataset

import (
	"fmt"
	"path/filepath"
	"slices"

	"slipway/internal/display"
)

// Info is what a run, a card or a report records of a set. What is not known is
// empty: nothing here is a guess from a name.
type Info struct {
	// Name is the set's name, as Open would find it again.
	Name string `json:"name"`
	// Place is where it was, for Open from any working folder; empty for sets in memory.
	Place string `json:"place,omitempty"`
	// SHA256 is the set's Digest.
	SHA256 string `json:"sha256"`
	Images int    `json:"images"`
	// Channels, Height and Width are those of one image.
	Channels int `json:"channels"`
	Height   int `json:"height"`
	Width    int `json:"width"`
	Classes  int `json:"classes"`
	// Sizing says how pictures of a folder came to that size, as picture.Sizing writes it.
	Sizing string `json:"sizing,omitempty"`
	// LeftOut is how many of them could not be read and were left out.
	LeftOut int `json:"left_out,omitempty"`
	// MultiLabel says that an image has any number of labels, none too. Classes is how many there are
	// then, and Combinations those that occur, which the set knows and records leave out.
	MultiLabel   bool         `json:"multi_label,omitempty"`
	Combinations Combinations `json:"-"`
	// ClassNames has a name for each class, or is empty.
	ClassNames []string `json:"class_names,omitempty"`
	// Title is the published set that this is, known by its digest alone; Authors are its.
	Title   string `json:"title,omitempty"`
	Authors string `json:"authors,omitempty"`
	// Licence is that of the published set, or what the set's own files or its user say.
	Licence string `json:"licence,omitempty"`
}

// Info describes the set. It reads all of it for the digest: about 1 s a gigabyte.
func (s *Set) Info() Info {
	info := Info{
		Name: s.Name, Place: s.Place, SHA256: s.Digest(), Images: s.Len(),
		Channels: s.Channels, Height: s.Height, Width: s.Width, Classes: s.Classes, Sizing: s.Sizing,
		LeftOut:    s.LeftOut,
		ClassNames: slices.Clone(s.ClassNames), Licence: s.Licence,
		MultiLabel: s.MultiLabel(), Combinations: s.Combinations,
	}
	if known := InfoOf(s.Name, info.SHA256); known.Title != "" {
		info.Title, info.Authors, info.Licence = known.Title, known.Authors, known.Licence
		if len(info.ClassNames) == 0 {
			info.ClassNames = known.ClassNames
		}
	}
	return info
}

// String says in a line what the set is: "fashion:train (Fashion-MNIST), 60,000 images
// 1×28×28, 10 classes".
func (i Info) String() string {
	title := ""
	if i.Title != "" {
		title = " (" + i.Title + ")"
	}
	if i.Images == 0 { // a record of before sets were described
		return i.Name + title
	}
	classes := counted(i.Classes, "class", "classes")
	if i.MultiLabel {
		classes = "any of " + counted(i.Classes, "label", "labels") + " each"
	}
	return fmt.Sprintf("%s%s, %s %d×%d×%d, %s", i.Name, title,
		counted(i.Images, "image", "images"), i.Channels, i.Height, i.Width, classes)
}

// counted writes a number with its noun, thousands apart: "1 image", "60,000 images".
func counted(n int, one, many string) string {
	if n == 1 {
		many = one
	}
	return display.Thousands(n) + " " + many
}

// IsDefault reports whether it is a set that commands take where none is named, train
// or t10k. Records leave out what follows from that.
func (i Info) IsDefault() bool {
	return i.Title != "" && (i.Name == string(Train) || i.Name == string(Test))
}

// ShortName is the name without the folders before it: what may be told to others.
func (i Info) ShortName() string {
	name := i.Name
	if i.Place != "" {
		name = i.Place // without . and .. and a slash at the end
	}
	if name == "" {
		return ""
	}
	return filepath.Base(name)
}

// Labels returns a name for each of that many classes: ClassNames as far as they go,
// and the class's number elsewhere.
func (i Info) Labels(classes int) []string { return LabelsOf(i.ClassNames, classes) }

// LabelsOf returns a name for each of that many classes: those given as far as they
// go, and the class's number elsewhere.
func LabelsOf(names []string, classes int) []string { return display.ClassNames(names, classes) }
