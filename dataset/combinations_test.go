package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// labelSetsOf are the labels of each image by name.
func labelSetsOf(t *testing.T, source Source) [][]string {
	t.Helper()
	labels, err := AllLabels(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	info := source.Info()
	if !info.MultiLabel || info.Combinations == nil {
		t.Fatalf("%v is no multi-label set", info)
	}
	var all [][]string
	for _, label := range labels {
		names := []string{}
		for _, one := range info.LabelsOf(label) {
			names = append(names, info.Labels(info.Classes)[one])
		}
		all = append(all, names)
	}
	return all
}

// Lists of any number of labels come in several forms, and say the same.
func TestMultiLabelLists(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		flag bool
	}{
		"bars":       {"file,label\nb.png,wasp|ant\na.png,\nc.png,bee\n", true},
		"semicolons": {"file,label\nb.png,ant; wasp\na.png,\nc.png,bee\n", true},
		"quoted":     {"file;label\nb.png;\"ant;wasp\"\na.png;\nc.png;bee\n", true},
		"tabs":       {"id\ttarget\nb\twasp | ant\na\t\nc\tbee\n", true},
		"columns":    {"file,ant,bee,wasp\nb.png,1,0,1\na.png,0,0,0\nc.png,0,1,0\n", false},
		"floats": {"ant,bee,file,wasp\n1.0,0.0,b.png,1.0\n0.0,0.0,a.png,0.0\n0.0,1.0,c.png,0.0\n",
			false},
		"asked for": {"file,ant,bee,wasp\nb.png,1,0,1\na.png,0,0,0\nc.png,0,1,0\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writePictures(t, dir, "a.png", "b.png", "c.png")
			writeText(t, filepath.Join(dir, "labels.csv"), test.text)
			for _, spec := range []string{dir, filepath.Join(dir, "labels.csv")} {
				set, err := Open(t.Context(), spec, Options{MultiLabel: test.flag})
				if err != nil {
					t.Fatal(err)
				}
				got := fmt.Sprint(labelSetsOf(t, set))
				if got != "[[ant wasp] [] [bee]]" || set.Classes != 3 ||
					!slices.Equal(set.ClassNames, []string{"ant", "bee", "wasp"}) {
					t.Errorf("%s: %s of %q", spec, got, set.ClassNames)
				}
				if text := set.Info().String(); !strings.HasSuffix(text, "any of 3 labels each") {
					t.Error(text)
				}
				if again, err := Reopen(t.Context(), set.Info(), Options{}); err != nil ||
					again.Info().SHA256 != set.Digest() {
					t.Errorf("reopened: %v", err)
				}
				streamed, err := OpenSource(t.Context(), spec,
					Options{MultiLabel: test.flag, Memory: 1, PictureCache: NoPictureCache})
				if err != nil {
					t.Fatal(err)
				}
				if _, ok := streamed.(*Pictures); !ok || fmt.Sprint(labelSetsOf(t, streamed)) != got ||
					streamed.Info().SHA256 != set.Digest() {
					t.Errorf("a %T of pictures has %v", streamed, labelSetsOf(t, streamed))
				}
				inspection, err := Inspect(t.Context(), spec, Options{MultiLabel: test.flag})
				if err != nil || fmt.Sprint(labelSetsOf(t, inspection.Source)) != got {
					t.Errorf("inspected: %v", err)
				}
			}
		})
	}
}

// Numbers are labels, named by labels.txt; a list may have one label each at most.
func TestMultiLabelListOfNumbers(t *testing.T) {
	dir := t.TempDir()
	writePictures(t, dir, "a.png", "b.png", "c.png")
	writeText(t, filepath.Join(dir, "labels.csv"), "file,label\na,2|0\nb,\nc,2\n")
	set, err := Open(t.Context(), dir, Options{MultiLabel: true})
	if err != nil || fmt.Sprint(labelSetsOf(t, set)) != "[[0 2] [] [2]]" || set.Classes != 3 ||
		len(set.ClassNames) != 0 {
		t.Fatalf("%v: %v", err, set)
	}
	writeText(t, filepath.Join(dir, "labels.txt"), "ant\nbee\nwasp\nfly\n")
	set, err = Open(t.Context(), dir, Options{MultiLabel: true})
	if err != nil || fmt.Sprint(labelSetsOf(t, set)) != "[[ant wasp] [] [wasp]]" || set.Classes != 4 {
		t.Fatalf("%v: %v", err, set)
	}
	stats := set.Stats()
	if !slices.Equal(stats.Counts, []int{1, 0, 2, 0}) || stats.None != 1 {
		t.Errorf("counts %v, %d without any", stats.Counts, stats.None)
	}
	writeText(t, filepath.Join(dir, "labels.csv"), "file,label\na,bee\nb,\nc,ant\n")
	if set, err = Open(t.Context(), dir, Options{MultiLabel: true}); err != nil ||
		fmt.Sprint(labelSetsOf(t, set)) != "[[bee] [] [ant]]" {
		t.Errorf("one at most: %v: %v", err, set)
	}
}

// Without the flag such labels are classes, and a note says what they look like.
func TestListsThatLookMultiLabel(t *testing.T) {
	dir := t.TempDir()
	writePictures(t, dir, "a.png", "b.png")
	writeText(t, filepath.Join(dir, "labels.csv"), "file,label\na,ant|bee\nb,wasp\n")
	var told bytes.Buffer
	set, err := Open(t.Context(), dir, Options{Messages: &told})
	if err != nil || set.MultiLabel() || !slices.Equal(set.ClassNames, []string{"ant|bee", "wasp"}) {
		t.Fatalf("%v: %v", err, set)
	}
	if !strings.Contains(told.String(), "there is a | in 1 of its 2 labels") ||
		!strings.Contains(told.String(), "-multi-label takes it for several") {
		t.Errorf("told: %s", told.String())
	}
}

func TestBadMultiLabelLists(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		flag bool
		want error
		says string
	}{
		"two separators": {"file,label\na,x|y\nb,x;y\n", true, ErrLabel,
			"by | in line 2 and by ; in line 3"},
		"an empty label":  {"file,label\na,x||y\n", true, ErrLabel, "have an empty one among them"},
		"twice":           {"file,label\na,x|x\n", true, ErrLabel, "a has the label x twice"},
		"twice, numbers":  {"file,label\na,1|1.0\n", true, ErrLabel, "twice"},
		"no label at all": {"file,label\na,\nb,\n", true, ErrLabel, "no picture has a label"},
		"none, unsaid": {"file,label\na,x\nb,\n", false, ErrArgument,
			"-multi-label takes pictures without any"},
		"without quotes": {"file;label\na;x;y\nb;x\n", true, ErrArgument,
			"put quotes around what has a ;"},
		"a negative label": {"file,label\na,0\nb,1|-1\n", true, ErrLabel, "the label -1"},
		"neither 0 nor 1": {"file,x,y\na,1,2\nb,0,0\n", true, ErrLabel,
			`line 2: label out of range: "2" in the column y`},
		"short line": {"file,x,y\na,1\nb,0,0\n", true, ErrArgument,
			"2 values, the first line has 3"},
		"one-hot": {"file,x,y\na,1,0\nb,0,1\n", false, ErrAmbiguous,
			"say -multi-label for any number"},
		"a column twice": {"file,x,x\na,1,1\nb,0,0\n", false, ErrArgument,
			"give each a name of its own"},
		"an unnamed one": {"file,x,\na,1,1\nb,0,0\n", false, ErrArgument,
			"give each a name of its own"},
		"out": {"file,x,y\n../a,1,1\nb,0,0\n", false, ErrArgument,
			"leads out of the list's folder"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writePictures(t, dir, "a.png", "b.png")
			path := filepath.Join(dir, "labels.csv")
			writeText(t, path, test.text)
			_, err := Open(t.Context(), path, Options{MultiLabel: test.flag})
			if !errors.Is(err, test.want) || !strings.Contains(fmt.Sprint(err), test.says) ||
				!strings.Contains(fmt.Sprint(err), dir) {
				t.Errorf("%v", err)
			}
		})
	}
	dir := t.TempDir()
	writePictures(t, dir, "ant/a.png", "bee/b.png")
	if _, err := Open(t.Context(), dir, Options{MultiLabel: true}); !errors.Is(err, ErrMultiLabel) ||
		!strings.Contains(err.Error(), "have one label each") {
		t.Errorf("class folders: %v", err)
	}
	if _, err := Open(t.Context(), "t10k", Options{MultiLabel: true}); !errors.Is(err, ErrMultiLabel) {
		t.Errorf("a known set: %v", err)
	}
}

// Parts of a set and the test set beside it keep their labels, in the order of the training set's.
func TestPartsOfMultiLabelSets(t *testing.T) {
	dir := t.TempDir()
	writePictures(t, dir, "train/1.png", "train/2.png", "train/3.png", "test/4.png", "test/5.png")
	writeText(t, filepath.Join(dir, "train.csv"), "file,label\n1,cat|ant\n2,bee\n3,\n")
	writeText(t, filepath.Join(dir, "test.csv"), "file,label\n4,cat|bee\n5,cat\n")
	training, err := OpenSource(t.Context(), dir, Options{MultiLabel: true, Part: Train})
	if err != nil {
		t.Fatal(err)
	}
	test, err := OpenTest(t.Context(), training, Options{})
	if err != nil {
		t.Fatal(err)
	}
	before := test.Info().SHA256
	if test, err = MatchClasses(test, training.Info().ClassNames); err != nil ||
		fmt.Sprint(labelSetsOf(t, test)) != "[[bee cat] [cat]]" || test.Info().Classes != 3 ||
		test.Info().SHA256 == before {
		t.Fatalf("%v: %v", err, test)
	}
	streamed, err := OpenSource(t.Context(), dir+":t10k",
		Options{MultiLabel: true, Memory: 1, PictureCache: NoPictureCache})
	if err != nil {
		t.Fatal(err)
	}
	if streamed, err = Relabelled(streamed, training.Info().ClassNames); err != nil ||
		fmt.Sprint(labelSetsOf(t, streamed)) != "[[bee cat] [cat]]" ||
		streamed.Info().SHA256 != test.Info().SHA256 {
		t.Errorf("streamed: %v", err)
	}
	// Columns in another order are put into that of the training set, there and when it is opened
	// again.
	writeText(t, filepath.Join(dir, "test.csv"), "cat,bee,file,ant\n1,1,4,0\n1,0,5,0\n")
	columns, err := OpenTest(t.Context(), training, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if columns, err = MatchClasses(columns, training.Info().ClassNames); err != nil ||
		fmt.Sprint(labelSetsOf(t, columns)) != "[[bee cat] [cat]]" ||
		columns.Info().SHA256 != test.Info().SHA256 {
		t.Fatalf("columns: %v", err)
	}
	if again, err := Reopen(t.Context(), columns.Info(), Options{}); err != nil ||
		again.Info().SHA256 != test.Info().SHA256 {
		t.Errorf("opened again: %v", err)
	}
	first, err := First(training, 2)
	if err != nil || fmt.Sprint(labelSetsOf(t, first)) != "[[ant cat] [bee]]" {
		t.Errorf("the first: %v", err)
	}
	// The combinations of images that are left out do not enter the digest.
	alone, err := NewMultiLabelSet("", training.(*Set).Images[:2*training.(*Set).ImageSize()],
		[][]int32{{2, 0}, {1}}, 1, 2, 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	wide, err := NewMultiLabelSet("", append(slices.Clone(alone.Images), 1, 2, 3, 4),
		[][]int32{{0, 2}, {1}, {}}, 1, 2, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	part, err := wide.Subset([]int{0, 1})
	if err != nil || part.Digest() != alone.Digest() || wide.Digest() == alone.Digest() {
		t.Errorf("digests %s and %s of the same images, %v", part.Digest(), alone.Digest(), err)
	}
	if loaded, err := Load(t.Context(), newPart(wide, []int{2, 0})); err != nil ||
		fmt.Sprint(labelSetsOf(t, loaded)) != "[[] [0 2]]" {
		t.Errorf("loaded: %v", err)
	}
	validation, rest, err := SplitSource(wide, 0.5, 1)
	if err != nil || !validation.Info().MultiLabel || !rest.Info().MultiLabel {
		t.Errorf("split: %v", err)
	}
	contents, err := ContentsOf(training)
	if err != nil || contents.Class(0) != "ant+cat" || contents.Class(2) != "none" {
		t.Errorf("%v, %v", contents.Class(0), err)
	}
	if damaged, err := alone.WithImages("other", make([]uint8, len(alone.Images))); err != nil ||
		fmt.Sprint(labelSetsOf(t, damaged)) != "[[0 2] [1]]" || damaged.Digest() == alone.Digest() {
		t.Errorf("other images: %v", err)
	}
}

// One label more or less, or another's, is another set, and the same ones as places elsewhere are
// not.
func TestMultiLabelDigests(t *testing.T) {
	images := []uint8{1, 2, 3}
	digest := func(labels ...[]int32) string {
		set, err := NewMultiLabelSet("", images, labels, 1, 1, 1, 3)
		if err != nil {
			t.Fatal(err)
		}
		return set.Digest()
	}
	same := digest([]int32{0}, []int32{1, 2}, []int32{})
	seen := map[string]bool{same: true}
	for _, labels := range [][][]int32{{{0}, {1}, {}}, {{0}, {1, 2}, {0}}, {{1}, {0, 2}, {}},
		{{}, {0, 1, 2}, {}}, {{0, 1}, {2}, {}}} {
		if d := digest(labels...); seen[d] {
			t.Errorf("%v has the digest of another", labels)
		} else {
			seen[d] = true
		}
	}
	if digest([]int32{0}, []int32{2, 1}, nil) != same {
		t.Error("the order of an image's labels enters the digest")
	}
	for name, labels := range map[string][][]int32{"too few": {{0}}, "negative": {{-1}, {0}, {0}},
		"too large": {{3}, {0}, {0}}, "twice": {{1, 1}, {0}, {0}}} {
		if _, err := NewMultiLabelSet("", images, labels, 1, 1, 1, 3); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := NewMultiLabelSet("", images, [][]int32{{}, {}, {}}, 1, 1, 1, 0); !errors.Is(err,
		ErrLabel) {
		t.Errorf("no label at all: %v", err)
	}
}

// Arrays N×L of 0 and 1 are labels of their own; a single 1 in each row may be one class each.
func TestMultiLabelArrays(t *testing.T) {
	images := npyBytes("(3, 1, 2)", 1, 2, 3, 4, 5, 6)
	files := map[string][]byte{
		"ints.npz":    npz(t, "images.npy", images, "labels.npy", npyBytes("(3, 2)", 1, 1, 0, 0, 0, 1)),
		"onehot.npz":  npz(t, "images.npy", images, "labels.npy", npyBytes("(3, 2)", 1, 0, 0, 1, 0, 1)),
		"numbers.npz": npz(t, "images.npy", images, "labels.npy", npyBytes("(3, 2)", 1, 0, 0, 2, 0, 1)),
		"none.npz":    npz(t, "images.npy", images, "labels.npy", npyBytes("(3, 2)", 0, 0, 0, 0, 0, 0)),
		"few.npz":     npz(t, "images.npy", images, "labels.npy", npyBytes("(2, 2)", 1, 1, 0, 0)),
		"one.npz":     npz(t, "images.npy", images, "labels.npy", npyBytes("(3,)", 0, 1, 0)),
		"many.npz": npz(t, "images.npy", images, "labels.npy",
			npyBytes("(3, 65537)", make([]byte, 3*65537)...)),
	}
	dir := t.TempDir()
	for name, content := range files {
		writeText(t, filepath.Join(dir, name), string(content))
	}
	set, err := Open(t.Context(), filepath.Join(dir, "ints.npz"), Options{})
	if err != nil || fmt.Sprint(labelSetsOf(t, set)) != "[[0 1] [] [1]]" {
		t.Fatalf("%v: %v", err, set)
	}
	set, err = Open(t.Context(), filepath.Join(dir, "onehot.npz"), Options{MultiLabel: true})
	if err != nil || fmt.Sprint(labelSetsOf(t, set)) != "[[0] [1] [1]]" {
		t.Fatalf("%v: %v", err, set)
	}
	for name, test := range map[string]struct {
		flag bool
		want error
		says string
	}{
		"onehot.npz":  {false, ErrRank, "say -multi-label"},
		"numbers.npz": {false, ErrRank, "2 at [1, 1] is neither 0 nor 1"},
		"none.npz":    {false, ErrLabel, "no image has a label"},
		"few.npz":     {false, ErrCount, "3 images, 2 rows of labels"},
		"one.npz":     {true, ErrMultiLabel, "labels N×L of 0 and 1"},
		"many.npz":    {true, ErrArgument, "65537 an image, 0 classes were asked for, and 1 to 65536"},
	} {
		_, err := Open(t.Context(), filepath.Join(dir, name), Options{MultiLabel: test.flag})
		if !errors.Is(err, test.want) || !strings.Contains(fmt.Sprint(err), test.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := PackIDX(t.Context(), filepath.Join(dir, "packed"), filepath.Join(dir, "ints.npz"),
		Options{}); !errors.Is(err, ErrMultiLabel) {
		t.Errorf("packed as IDX: %v", err)
	}
	if _, err := PackTar(t.Context(), filepath.Join(dir, "packed.tar"), filepath.Join(dir, "ints.npz"),
		Options{}); !errors.Is(err, ErrMultiLabel) {
		t.Errorf("packed as tar: %v", err)
	}
}

// The targets of images are a row for each, in their order.
func TestTargetsOfCombinations(t *testing.T) {
	combinations := Combinations{{}, {0, 2}, {1}}
	got := combinations.Targets([]int32{1, 0, 2, 1}, 3)
	want := []bool{true, false, true, false, false, false, false, true, false, true, false, true}
	if !slices.Equal(got, want) {
		t.Errorf("the targets are %v, want %v", got, want)
	}
}

// Images have combinations that there are.
func TestImagesWithoutTheirCombination(t *testing.T) {
	for place, sound := range map[int32]bool{-1: false, 0: true, 1: true, 2: false} {
		err := Combinations{{0}, {}}.check([]int32{0, place}, 1)
		if sound != (err == nil) || err != nil && !errors.Is(err, ErrLabel) {
			t.Errorf("the combination %d of 2: %v", place, err)
		}
	}
}
