package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// writeLabelled writes a pair of IDX files of 2×2 images.
func writeLabelled(t *testing.T, dir string, part Part, labels *IDX) {
	t.Helper()
	images := &IDX{Type: Uint8, Shape: []int{labels.Shape[0], 2, 2},
		Data: make([]byte, 4*labels.Shape[0])}
	for name, x := range map[string]*IDX{"images-idx3": images, "labels-idx1": labels} {
		var encoded bytes.Buffer
		if err := WriteIDX(&encoded, x); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, string(part)+"-"+name+"-ubyte"), encoded.Bytes(),
			0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// Classes are as many as the labels ask for, whatever integers the file holds.
func TestClassesComeFromTheLabels(t *testing.T) {
	for name, test := range map[string]struct {
		labels *IDX
		want   []int32
	}{
		"two":      {&IDX{Uint8, []int{3}, []byte{1, 0, 1}}, []int32{1, 0, 1}},
		"letters":  {&IDX{Uint8, []int{2}, []byte{26, 1}}, []int32{26, 1}},
		"int8":     {&IDX{Int8, []int{1}, []byte{99}}, []int32{99}},
		"int16":    {&IDX{Int16, []int{2}, []byte{3, 231, 0, 0}}, []int32{999, 0}},
		"int32":    {&IDX{Int32, []int{1}, []byte{0, 0, 255, 255}}, []int32{65535}},
		"unsigned": {&IDX{Uint8, []int{1}, []byte{200}}, []int32{200}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeLabelled(t, dir, Train, test.labels)
			set, err := Open(t.Context(), dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if want := int(slices.Max(test.want)) + 1; set.Classes != want ||
				!slices.Equal(set.Labels, test.want) {
				t.Errorf("%d classes, labels %v; want %d, %v", set.Classes, set.Labels, want, test.want)
			}
		})
	}
	for name, test := range map[string]struct {
		labels  *IDX
		classes int
		says    string
		want    error
	}{
		"below 0": {&IDX{Int8, []int{2}, []byte{255, 4}}, 0, "labels are -1 to 4", ErrLabel},
		"above all": {&IDX{Int32, []int{1}, []byte{0, 1, 0, 0}}, 0,
			"labels are 65536 to 65536, 0 to 65535 are possible", ErrLabel},
		"too few": {&IDX{Uint8, []int{2}, []byte{1, 26}}, 10,
			"labels are 1 to 26, 10 classes end at 9", ErrLabel},
		"fractional": {&IDX{Float32, []int{1}, make([]byte, 4)}, 0, "float32, labels are integers",
			ErrElementType},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeLabelled(t, dir, Train, test.labels)
			if _, err := Open(t.Context(), dir, Options{Classes: test.classes}); !errors.Is(err,
				test.want) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %q", err, test.says)
			}
		})
	}
}

// A folder says what its classes are called, and under which licence its images are.
func TestAFoldersOwnNotes(t *testing.T) {
	dir := t.TempDir()
	writeLabelled(t, dir, Test, &IDX{Uint8, []int{3}, []byte{0, 1, 1}})
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(filepath.Dir(dir))
	open := func() (*Set, error) { return Open(t.Context(), filepath.Base(dir), Options{}) }
	set, err := open()
	if err != nil {
		t.Fatal(err)
	}
	if info := set.Info(); info.ClassNames != nil || info.Licence != "" || info.Title != "" ||
		info.Authors != "" {
		t.Errorf("of a set without notes is told: %+v", info)
	}
	if want := dir + ":t10k"; set.Place != want {
		t.Errorf("its place is %s, want %s", set.Place, want)
	}
	if again, err := Open(t.Context(), set.Place, Options{}); err != nil ||
		again.Digest() != set.Digest() {
		t.Errorf("at its place: %v", err)
	}

	write(ClassNamesFile, "\ufeffant\r\nbee \n wasp\n\n")
	write("LICENSE", "\n# CC0 1.0 Universal\n\nmore")
	if set, err = open(); err != nil {
		t.Fatal(err)
	}
	info := set.Info()
	if info.Classes != 3 || !slices.Equal(info.ClassNames, []string{"ant", "bee", "wasp"}) {
		t.Errorf("%d classes: %q", info.Classes, info.ClassNames)
	}
	if info.Licence != "CC0 1.0 Universal (the set's file LICENSE)" {
		t.Errorf("licence %q", info.Licence)
	}
	if text := info.String(); text != filepath.Base(dir)+":t10k, 3 images 1×2×2, 3 classes" {
		t.Error(text)
	}
	if labels := info.Labels(4); !slices.Equal(labels, []string{"ant", "bee", "wasp", "3"}) {
		t.Errorf("%q", labels)
	}
	for text, says := range map[string]string{
		"ant":           "1 class names, but labels are 0 to 1",
		"ant\n\nbee":    "line 2 is blank",
		"ant\nbee\nant": `lines 1 and 3 are both "ant"`,
		"":              "there are no class names",
		"\xff\nbee":     "UTF-8",
	} {
		write(ClassNamesFile, text)
		if _, err := open(); !errors.Is(err, ErrArgument) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

// Authors and licence are told of a set whose content is known, wherever it lies, and
// not of one that differs in a single label.
func TestPublishedSetsAreKnownByTheirContent(t *testing.T) {
	set, err := Open(t.Context(), string(Test), Options{})
	if err != nil {
		t.Fatal(err)
	}
	moved := *set
	moved.Name, moved.Place = "elsewhere", ""
	info := moved.Info()
	if info.Title != "MNIST" || info.Licence != "CC BY-SA 3.0" ||
		!strings.HasPrefix(info.Authors, "Yann LeCun") {
		t.Errorf("%+v", info)
	}
	if len(info.ClassNames) != 10 || info.ClassNames[3] != "3" {
		t.Errorf("class names %q", info.ClassNames)
	}
	if text := info.String(); text != "elsewhere (MNIST), 10,000 images 1×28×28, 10 classes" {
		t.Error(text)
	}
	other := *set
	other.Labels = slices.Clone(set.Labels)
	other.Labels[0]++
	if info := other.Info(); info.Title != "" || info.Authors != "" || info.Licence != "" ||
		info.ClassNames != nil {
		t.Errorf("another set is told to be %+v", info)
	}
}

// Each published set is what the table says, and each training set leads to its test set.
func TestPublishedSets(t *testing.T) {
	cache := fetched(t, Fashion)
	for word, title := range map[string]string{
		string(Test): "MNIST", fashionTrain: "Fashion-MNIST", Fashion: "Fashion-MNIST",
		FashionTest: "Fashion-MNIST",
	} {
		options := Options{CacheDir: cache}
		set, err := Open(t.Context(), word, options)
		if err != nil {
			t.Fatal(err)
		}
		info := set.Info()
		if info.Title != title || info.Classes != 10 || len(info.ClassNames) != 10 || info.Licence == "" {
			t.Errorf("%s: %+v", word, info)
		}
		if test, ok := TestSetOf(info.SHA256); ok != (word == fashionTrain) || ok && test != Fashion {
			t.Errorf("%s: its test set is %q, %t", word, test, ok)
		}
	}
	set, err := Open(t.Context(), Fashion, Options{CacheDir: cache, Part: Train})
	if err != nil {
		t.Fatal(err)
	}
	if info := set.Info(); set.Len() != 60_000 || set.Name != fashionTrain ||
		info.ClassNames[0] != "T-shirt/top" {
		t.Errorf("to train on: %s", info)
	}
	if counts := set.Stats().Counts; slices.Max(counts) != 6000 || slices.Min(counts) != 6000 {
		t.Errorf("images of each class: %v, 6,000 each are published", counts)
	}
}

// MNIST's training set has the digest that its authors and its test set are known by.
func TestTheTrainingSetIsKnown(t *testing.T) {
	set, err := Open(t.Context(), string(Train), Options{})
	if err != nil {
		t.Skip("the training set is not to be had:", err)
	}
	info := set.Info()
	if test, ok := TestSetOf(info.SHA256); info.Title != "MNIST" || !ok || test != string(Test) {
		t.Errorf("%s leads to %q", info, test)
	}
}

// A set is called after its folder, however that is written, and colour images may have
// the name that their rank gives them.
func TestNamesOfFolders(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "col3")
	if err := os.MkdirAll(filepath.Join(dir, "inner"), 0o777); err != nil {
		t.Fatal(err)
	}
	writeLabelled(t, dir, Train, &IDX{Uint8, []int{2}, []byte{0, 1}})
	if err := os.Rename(filepath.Join(dir, "train-images-idx3-ubyte"),
		filepath.Join(dir, "train-images-idx4-ubyte")); err != nil {
		t.Fatal(err)
	}
	for from, spec := range map[string]string{filepath.Dir(dir): "col3/", dir: ".",
		filepath.Join(dir, "inner"): ".."} {
		t.Chdir(from)
		set, err := Open(t.Context(), spec, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if name := set.Info().ShortName(); name != "col3:train" {
			t.Errorf("%s is called %s", spec, name)
		}
	}
	// Names that do not fit are told by their file, and may be left out.
	if err := os.WriteFile(filepath.Join(dir, ClassNamesFile), []byte("one\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, Options{}); err == nil ||
		!strings.Contains(err.Error(), filepath.Join(dir, ClassNamesFile)) {
		t.Errorf("too few names: %v", err)
	}
	if _, err := Open(t.Context(), dir, Options{OwnNames: true}); err != nil {
		t.Error(err)
	}
}

// Labels above a byte count into the digest, and bytes as they always did.
func TestDigestOfLabels(t *testing.T) {
	digests := map[string]string{}
	for _, labels := range [][]int32{{1, 2}, {2, 1}, {1, 258}, {258, 1}, {257, 2}} {
		set, err := NewSet("x", make([]uint8, 2), labels, 1, 1, 1, 300)
		if err != nil {
			t.Fatal(err)
		}
		if other, twice := digests[set.Digest()]; twice {
			t.Errorf("%v has the digest of %s", labels, other)
		}
		digests[set.Digest()] = fmt.Sprint(labels)
	}
}

// Only the published sets of these names are those that commands take where none is named.
func TestDefaultSets(t *testing.T) {
	for _, test := range []struct {
		info Info
		want bool
	}{
		{Info{Name: "train", Title: "MNIST"}, true}, {Info{Name: "t10k", Title: "MNIST"}, true},
		{Info{Name: "train"}, false}, {Info{Name: "t10k"}, false},
		{Info{Name: "mine", Title: "MNIST"}, false}, {Info{}, false},
	} {
		if test.info.IsDefault() != test.want {
			t.Errorf("%+v: %t", test.info, !test.want)
		}
	}
}

// Names lose their folders where others read them; a record of before sets were described
// has no sizes to tell.
func TestNamesOfSets(t *testing.T) {
	for name, want := range map[string]string{"": "", "t10k": "t10k",
		"some/where/mine:train": "mine:train"} {
		if short := (Info{Name: name}).ShortName(); short != want {
			t.Errorf("%q is %q for short, want %q", name, short, want)
		}
	}
	for want, info := range map[string]Info{
		"train (MNIST)": {Name: "train", Title: "MNIST"},
		"mine":          {Name: "mine"},
		"mine, 1 image 3×2×4, 1 class": {Name: "mine", Images: 1, Channels: 3, Height: 2, Width: 4,
			Classes: 1},
	} {
		if text := info.String(); text != want {
			t.Errorf("%q, want %q", text, want)
		}
	}
}

// As many names as there are classes are taken, as many as there can be classes, and a
// file as long as is read; one more is not.
func TestTheLimitsOfClassNames(t *testing.T) {
	set, err := NewSet("x", make([]byte, 2), []int32{0, 1}, 1, 1, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if named, err := set.WithClassNames([]string{"ant", "bee"}); err != nil || named.Classes != 2 ||
		set.ClassNames != nil {
		t.Errorf("two names of two classes: %v", err)
	}
	if _, err := set.WithClassNames([]string{"ant"}); !errors.Is(err, ErrArgument) {
		t.Errorf("one name of two classes: %v", err)
	}
	var most strings.Builder
	for class := range MaxClasses {
		fmt.Fprintln(&most, class)
	}
	blank := strings.Repeat("\n", maxNotes-len("ant"))
	path := filepath.Join(t.TempDir(), ClassNamesFile)
	for _, test := range []struct {
		text  string
		names int
		want  error
	}{
		{most.String(), MaxClasses, nil}, {most.String() + "more", 0, ErrArgument},
		{"ant" + blank, 1, nil}, {"ant" + blank + "\n", 0, ErrTooLarge},
	} {
		if err := os.WriteFile(path, []byte(test.text), 0o666); err != nil {
			t.Fatal(err)
		}
		if names, err := ReadClassNames(path); len(names) != test.names || !errors.Is(err, test.want) {
			t.Errorf("%d bytes: %d names, %v; want %d, %v", len(test.text), len(names), err, test.names,
				test.want)
		}
	}
}
