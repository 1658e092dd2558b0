package dataset

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// writeText writes a file, and the folders that it lies in.
func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// writePictures writes small pictures under those names, each with other pixels.
func writePictures(t *testing.T, dir string, names ...string) {
	t.Helper()
	for i, name := range names {
		writePNG(t, filepath.Join(dir, filepath.FromSlash(name)), 2, 2, false, uint8(40*i))
	}
}

// Lists come in many forms, and say the same.
func TestListForms(t *testing.T) {
	for name, text := range map[string]string{
		"titles":            "filename,label\nb.png,wasp\na.png,ant\nc.png,wasp\n",
		"no titles":         "b.png,wasp\na.png,ant\nc.png,wasp\n",
		"no titles, turned": "wasp,b.png\nant,a.png\nwasp,c.png\n",
		"no line end":       "filename,label\nb.png,wasp\na.png,ant\nc.png,wasp",
		"Windows":           "\ufeffImage_ID;Class\r\nb;wasp\r\na;ant\r\nc;wasp\r\n",
		"tabs":              "id\tbreed\nb\twasp\na\tant\nc\twasp\n",
		"quotes":            "\"image\",\"category\"\n\"b.png\",\"wasp\"\n\"a.png\",\"ant\"\n\"c.png\",\"wasp\"\n",
		"more columns": "age,target,note,path\n1,wasp,\"of, " +
			"two\nlines\",b.png\n2,ant,,a.png\n3,wasp,x,c.png\n",
		"spaces, blank lines": "filename , label\n\nb.png, wasp \n a.png,ant\n\nc.png,wasp\n",
		"sure titles first":   "id,label,filename,class\n1,wasp,b.png,x\n2,ant,a.png,x\n3,wasp,c.png,x\n",
		"backslashes":         "filename,label\n.\\b.png,wasp\na.png,ant\nc.png,wasp\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writePictures(t, dir, "a.png", "b.png", "c.png")
			writeText(t, filepath.Join(dir, "labels.csv"), text)
			for _, spec := range []string{dir, filepath.Join(dir, "labels.csv")} {
				var messages bytes.Buffer
				set, err := Open(t.Context(), spec, Options{Messages: &messages})
				if err != nil {
					t.Fatal(err)
				}
				if messages.Len() > 0 { // neither of pictures beside it nor of several labels
					t.Errorf("%s: told %s", spec, messages.String())
				}
				if !slices.Equal(set.Files, []string{"b.png", "a.png", "c.png"}) ||
					!slices.Equal(set.Labels, []int32{1, 0, 1}) ||
					!slices.Equal(set.ClassNames, []string{"ant", "wasp"}) || set.Name != spec ||
					set.Images[0] != 40 || set.Images[4] != 0 {
					t.Errorf("%s: files %q, labels %v of %q, name %s", spec, set.Files, set.Labels,
						set.ClassNames, set.Name)
				}
				if again, err := Reopen(t.Context(), set.Info(), Options{}); err != nil ||
					again.Info().SHA256 != set.Digest() {
					t.Errorf("reopened: %v", err)
				}
			}
		})
	}
}

// Labels that are numbers are the classes', named by labels.txt.
func TestListOfNumbers(t *testing.T) {
	dir := t.TempDir()
	writePictures(t, dir, "images/7.png", "images/8.png", "images/9.png")
	writeText(t, filepath.Join(dir, "labels.csv"), "id,label\n7,2.0\n8,0\n9,2\n")
	set, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(set.Labels, []int32{2, 0, 2}) || set.Classes != 3 ||
		len(set.ClassNames) != 0 || set.Files[0] != "images/7.png" {
		t.Errorf("labels %v, %d classes %q, files %q", set.Labels, set.Classes, set.ClassNames,
			set.Files)
	}
	writeText(t, filepath.Join(dir, "labels.txt"), "ant\nbee\nwasp\n")
	writeText(t, filepath.Join(dir, "LICENSE"), "CC0\n")
	if set, err = Open(t.Context(), dir, Options{}); err != nil ||
		!slices.Equal(set.ClassNames, []string{"ant", "bee", "wasp"}) ||
		!strings.HasPrefix(set.Licence, "CC0") {
		t.Errorf("%v, classes %q, licence %q", err, set.ClassNames, set.Licence)
	}
	if set, err = Open(t.Context(), dir, Options{OwnNames: true}); err != nil ||
		len(set.ClassNames) != 0 {
		t.Errorf("own names: %v, classes %q", err, set.ClassNames)
	}
}

// Lists called as parts are the parts, and pictures lie in folders called so, or in one.
func TestListsOfParts(t *testing.T) {
	dir := t.TempDir()
	writePictures(t, dir, "train/1.png", "train/2.png", "test/1.png", "other/5.png")
	writeText(t, filepath.Join(dir, "train_labels.csv"), "id,label\n1,x\n2,y\n")
	one, err := Open(t.Context(), dir, Options{Part: Test})
	if err != nil || one.Name != dir+":train" ||
		!slices.Equal(one.Files, []string{"train/1.png", "train/2.png"}) {
		t.Fatalf("one list: %v: %v", err, one)
	}
	if test, err := OpenTest(t.Context(), one, Options{}); err != nil || test != nil {
		t.Errorf("no test part: %v, %v", test, err)
	}
	writeText(t, filepath.Join(dir, "val.csv"), "id,label\n5,y\n")
	writeText(t, filepath.Join(dir, "test.csv"), "id,label\n1,y\n")
	if _, err := Open(t.Context(), dir, Options{}); !errors.Is(err, ErrAmbiguous) ||
		!strings.Contains(err.Error(), dir+":t10k") {
		t.Errorf("both parts: %v", err)
	}
	training, err := Open(t.Context(), dir+":train", Options{})
	if err != nil || !slices.Equal(training.Files, []string{"train/1.png", "train/2.png"}) {
		t.Fatalf("%v: %v", err, training)
	}
	test, err := OpenTest(t.Context(), training, Options{})
	if err != nil || test.Info().Name != dir+":t10k" ||
		!slices.Equal(FileNames(test), []string{"test/1.png"}) {
		t.Errorf("the test part: %v: %v", err, test)
	}
	alone, err := Open(t.Context(), filepath.Join(dir, "train_labels.csv"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	writeText(t, filepath.Join(dir, "test_labels.csv"), "id,label\n1,y\n")
	if test, err := OpenTest(t.Context(), alone, Options{}); err != nil || test == nil ||
		test.Info().Name != filepath.Join(dir, "test_labels.csv") {
		t.Errorf("the list beside: %v: %v", err, test)
	}
	if _, err := Open(t.Context(), dir+":t10k", Options{}); !errors.Is(err, ErrAmbiguous) ||
		!strings.Contains(err.Error(), "lists of one part") {
		t.Errorf("two lists of a part: %v", err)
	}
}

// A list beside class folders says nothing new; one beside other folders does.
func TestListsBesideFolders(t *testing.T) {
	dir := t.TempDir()
	writePictures(t, dir, "ant/1.png", "bee/1.png")
	writeText(t, filepath.Join(dir, "all.csv"), "path,label\nant/1.png,insect\nbee/1.png,insect\n")
	if set, err := Open(t.Context(), dir, Options{}); err != nil ||
		!slices.Equal(set.ClassNames, []string{"ant", "bee"}) {
		t.Errorf("class folders: %v: %v", err, set)
	}
	parts := t.TempDir()
	writePictures(t, parts, "train/ant/1.png", "train/bee/1.png")
	writeText(t, filepath.Join(parts, "all.csv"), "path,label\ntrain/ant/1.png,insect\n")
	if set, err := Open(t.Context(), parts, Options{}); err != nil ||
		!slices.Equal(set.ClassNames, []string{"ant", "bee"}) {
		t.Errorf("class folders of a part: %v: %v", err, set)
	}
	masks := t.TempDir()
	writePictures(t, masks, "images/1.png", "images/2.png", "masks/m1.png", "masks/m2.png")
	writeText(t, filepath.Join(masks, "all.csv"), "path,label\n1.png,ant\n2.png,bee\n")
	if set, err := Open(t.Context(), masks, Options{}); err != nil ||
		!slices.Equal(set.Files, []string{"images/1.png", "images/2.png"}) {
		t.Errorf("pictures and masks: %v: %v", err, set)
	}
	two := t.TempDir()
	writePictures(t, two, "part_1/1.png", "part_2/2.png")
	writeText(t, filepath.Join(two, "sub", "all.csv"), "path,label\n1.png,ant\n2.png,bee\n")
	if err := os.Rename(filepath.Join(two, "part_1"), filepath.Join(two, "sub",
		"part_1")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(two, "part_2"), filepath.Join(two, "sub",
		"part_2")); err != nil {
		t.Fatal(err)
	}
	if set, err := Open(t.Context(), filepath.Join(two, "sub", "all.csv"), Options{}); err != nil ||
		!slices.Equal(set.Files, []string{"part_1/1.png", "part_2/2.png"}) {
		t.Errorf("two folders of pictures: %v: %v", err, set)
	}
}

// What is on one side alone is told: pictures that the list does not name, and lines
// whose picture is missing, which count as damaged.
func TestListAndPicturesDiffer(t *testing.T) {
	dir := t.TempDir()
	writePictures(t, dir, "a.png", "b.png", "x.png", "y.png")
	list := filepath.Join(dir, "labels.csv")
	writeText(t, list, "file,label\na,ant\nb,bee\ngone,bee\nlost.png,ant\n")
	var messages bytes.Buffer
	_, err := Open(t.Context(), dir, Options{Messages: &messages})
	if err == nil || !strings.Contains(err.Error(), list+", line 4: there is no file gone") ||
		!strings.Contains(err.Error(), "-skip-damaged") {
		t.Errorf("%v", err)
	}
	if !strings.Contains(messages.String(), "2 pictures beside its own, without a label in it") {
		t.Errorf("told: %s", messages.String())
	}
	set, err := Open(t.Context(), dir, Options{SkipDamaged: true})
	if err != nil || set.LeftOut != 2 || !slices.Equal(set.Labels, []int32{0, 1}) {
		t.Errorf("left out: %v: %v", err, set)
	}
}

func TestBadLists(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want error
		says string
	}{
		"twice": {"file,label\na.png,x\nb.png,y\na,y\n", ErrArgument,
			"lines 2 and 4 are both of a"},
		"no name": {"file,label\na.png,x\n,y\n", ErrArgument,
			"line 3: argument out of range: no file's name"},
		"no label": {"file,label\na.png,\nb.png,y\n", ErrArgument,
			"line 2: argument out of range: no label of a.png"},
		"out of the folder": {"file,label\n../a.png,x\n", ErrArgument,
			"leads out of the list's folder"},
		"out, as Windows": {"file,label\n..\\a.png,x\n", ErrArgument,
			"leads out of the list's folder"},
		"absolute": {"file,label\n/etc/a.png,x\n", ErrArgument,
			"leads out of the list's folder"},
		"absolute as Windows": {"file,label\nC:\\a.png,x\n", ErrArgument,
			"leads out of the list's folder"},
		"few values": {"file,size,label\na.png\n", ErrArgument,
			"line 2: argument out of range: 1 values"},
		"a stray quote":      {"file,label\n\"a.png,x\n", nil, "labels.csv"},
		"nothing but titles": {"file,label\n", ErrEmpty, "no other"},
		"UTF-16": {"\xff\xfef\x00i\x00l\x00e\x00", ErrArgument,
			"save the list as UTF-8"},
		"no picture there": {"file,label\nq.png,x\nr.png,y\n", os.ErrNotExist,
			"nor is any other of its 2 pictures there"},
		"a negative label": {"file,label\na.png,0\nb.png,-1\n", ErrLabel,
			"b.png: label out of range: the label -1"},
		"a huge label":    {"file,label\na.png,0\nb.png,65536\n", ErrLabel, "0 to 65535"},
		"two of the name": {"file,label\nboth,x\n", ErrAmbiguous, "write the extension"},
		"two folders": {"file,label\nsame.png,x\n", ErrAmbiguous,
			"write the folder before the name"},
		"one column of 0 and 1": {"file,cat\na.png,1\nb.png,0\n", ErrArgument,
			`"file" has the pictures' names, and none is called label: call that with the labels so (the others are ["cat"])`},
		"another word for label": {"file;kind;size\na.png;cat;3\n", ErrArgument, `["kind" "size"]`},
		"names alone":            {"file\na.png\nb.png\n", ErrArgument, "add one called label"},
		"no such columns":        {"label,pixel0,pixel1\n1,2,3\n", ErrUnknown, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writePictures(t, dir, "a.png", "b.png", "both.png", "both.jpg", "one/same.png",
				"two/same.png")
			path := filepath.Join(dir, "labels.csv")
			writeText(t, path, test.text)
			specs := []string{path, dir}
			if strings.Contains(test.says, "called label") || strings.Contains(test.says, "kind") {
				specs = specs[:1] // a folder may hold other tables
			}
			if test.want == ErrUnknown { // another kind of file may be meant
				specs = nil
			}
			if strings.HasPrefix(name, "two") || name == "no picture there" {
				specs = specs[:1] // one/ and two/ are class folders to the folder
			}
			for _, spec := range specs {
				if err := os.RemoveAll(filepath.Join(dir, "two")); spec == dir && err != nil {
					t.Fatal(err)
				} else if spec == path {
					writePictures(t, dir, "two/same.png")
				}
				_, err := Open(t.Context(), spec, Options{})
				if err == nil || test.want != nil && !errors.Is(err, test.want) ||
					!strings.Contains(err.Error(), test.says) {
					t.Errorf("%s: %v", spec, err)
				}
			}
		})
	}
	dir := t.TempDir()
	writePictures(t, dir, "a.png")
	writeText(t, filepath.Join(dir, "one.csv"), "file,label\na.png,x\n")
	writeText(t, filepath.Join(dir, "two.csv"), "file,label\na.png,y\n")
	if _, err := Open(t.Context(), dir, Options{}); !errors.Is(err, ErrAmbiguous) ||
		!strings.Contains(err.Error(), "one.csv, two.csv are lists") {
		t.Errorf("two lists: %v", err)
	}
}

// A list of a part that has an error is told: without it the other part would be taken for the set.
func TestABrokenListOfAPart(t *testing.T) {
	for name, text := range map[string]string{
		"a quote": "\"001.png,ant\n", "nothing": "", "a line without a label": "file,label\n001.png\n",
		"no label": "file,label\n001.png,\n", "Latin-1": "file,label\n001.png,\xe9\n",
		"column names alone": "file,label\n",
	} {
		for _, part := range []string{"train", "test"} {
			dir := t.TempDir()
			for _, other := range []string{"train", "test"} {
				if err := os.WriteFile(filepath.Join(dir, other+".csv"),
					[]byte("file,label\n001.png,ant\n002.png,bee\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			broken := filepath.Join(dir, part+".csv")
			if err := os.WriteFile(broken, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, spec := range []string{dir, dir + ":train", dir + ":t10k"} {
				_, err := OpenSource(t.Context(), spec, Options{Part: Train})
				if err == nil || !strings.Contains(err.Error(), broken) {
					t.Errorf("%s in %s, opened as %s: %v", name, part, filepath.Base(spec), err)
				}
			}
		}
	}
}

// Labels in columns of their own beside a column of labels: it is not known which are meant.
func TestLabelsInTwoForms(t *testing.T) {
	for text, refused := range map[string]bool{
		"file,label,square,stripe\n001.png,disc,0,1\n002.png,,1,0\n": true,
		"file,label,width\n001.png,disc,24\n002.png,square,1\n":      false,
		"file,label,note\n001.png,disc,\n002.png,square,1\n":         false,
	} {
		path := filepath.Join(t.TempDir(), "shapes.csv")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, ok, err := readList(path, Options{MultiLabel: true})
		if !ok || (err != nil) != refused || refused &&
			!strings.Contains(err.Error(), `the column "square" is of 0 and 1`) {
			t.Errorf("%q: %t, %v", text, ok, err)
		}
		if _, ok, err := readList(path, Options{}); !ok || err != nil && !refused {
			t.Errorf("%q as a list of one label: %t, %v", text, ok, err)
		}
	}
}

// What parts columns is what the first line has most of, and a comma where nothing is.
func TestSeparatorsOfLists(t *testing.T) {
	for text, want := range map[string]rune{
		"file,label\na;b;c": ',', "file;label": ';', "file\tlabel": '\t', "file": ',', "": ',',
		"a,b;c": ',', "a,b;c;d": ';', "a;b\tc": ';', "a;b\tc\td": '\t',
	} {
		if got := separatorOf([]byte(text)); got != want {
			t.Errorf("%q is parted by %q, want %q", text, got, want)
		}
	}
}

// The folder that is called as the list's part goes before others, be it the first or the last.
func TestTheFolderOfAListsPart(t *testing.T) {
	for _, other := range []string{"aaa", "zzz"} {
		dir := t.TempDir()
		writePictures(t, dir, "train/1.png", other+"/1.png")
		list := filepath.Join(dir, "train.csv")
		writeText(t, list, "id,label\n1,x\n")
		set, err := Open(t.Context(), list, Options{})
		if err != nil || !slices.Equal(set.Files, []string{"train/1.png"}) {
			t.Errorf("beside %s: %v: %v", other, err, set)
		}
	}
}

// A test part that cannot be read is told, and not passed over.
func TestABrokenTestPart(t *testing.T) {
	dir := t.TempDir()
	writePictures(t, dir, "1.png", "2.png")
	writeText(t, filepath.Join(dir, "train.csv"), "file,label\n1,ant\n")
	broken := filepath.Join(dir, "test.csv")
	writeText(t, broken, "file,label\n2,ant\n")
	training, err := OpenSource(t.Context(), dir+":train", Options{})
	if err != nil {
		t.Fatal(err)
	}
	writeText(t, broken, "file,label\n2,\n")
	if test, err := OpenTest(t.Context(), training, Options{}); err == nil ||
		!strings.Contains(err.Error(), broken) {
		t.Errorf("%v, %v", test, err)
	}
}
