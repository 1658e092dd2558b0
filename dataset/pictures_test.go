package dataset

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"slipway/dataset/picture"
)

// writePNG writes a picture of that size whose pixels depend on the seed: grey, or
// coloured.
func writePNG(t *testing.T, path string, height, width int, coloured bool, seed uint8) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	var drawn image.Image
	grey, colour := image.NewGray(image.Rect(0, 0, width, height)), image.NewNRGBA(image.Rect(0, 0,
		width, height))
	for y := range height {
		for x := range width {
			v := uint8(y*width+x) + seed
			grey.SetGray(x, y, color.Gray{v})
			colour.SetNRGBA(x, y, color.NRGBA{v, v + 1, v + 2, 255})
		}
	}
	if drawn = grey; coloured {
		drawn = colour
	}
	var file bytes.Buffer
	if err := png.Encode(&file, drawn); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, file.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

// pictureSet writes folders of three classes with two pictures each, under train/ and
// test/.
func pictureSet(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	seed := uint8(0)
	for _, part := range []string{"train", "test"} {
		for _, class := range []string{"bee", "ant", "Wasp ü"} {
			for _, name := range []string{"b.png", "a.png"} {
				writePNG(t, filepath.Join(dir, part, class, name), 2, 3, false, seed)
				seed += 10
			}
		}
	}
	return dir
}

// A folder of folders is a set: a class a folder, in the order of the names, and its
// pictures in theirs.
func TestFoldersOfPictures(t *testing.T) {
	dir := pictureSet(t)
	for _, junk := range []string{".DS_Store", "train/._x.png", "train/bee/Thumbs.db",
		"train/bee/._a.png", "train/ant/LICENSE", "train/ant/list.csv"} {
		if err := os.WriteFile(filepath.Join(dir, junk), []byte("no picture"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	var messages bytes.Buffer
	set, err := Open(t.Context(), dir, Options{Part: Train, Messages: &messages})
	if err != nil {
		t.Fatal(err)
	}
	if set.Name != dir+":train" || set.Place != dir+":train" || set.Channels != 1 || set.Height != 2 ||
		set.Width != 3 {
		t.Errorf("%s at %s: %d×%d×%d", set.Name, set.Place, set.Channels, set.Height, set.Width)
	}
	if !slices.Equal(set.ClassNames, []string{"Wasp ü", "ant", "bee"}) ||
		!slices.Equal(set.Labels, []int32{0, 0, 1, 1, 2, 2}) {
		t.Errorf("classes %q, labels %v", set.ClassNames, set.Labels)
	}
	if want := []string{"Wasp ü/a.png", "Wasp ü/b.png", "ant/a.png", "ant/b.png", "bee/a.png",
		"bee/b.png"}; !slices.Equal(set.Files, want) {
		t.Errorf("files %q", set.Files)
	}
	if set.Image(4)[0] != 10 || set.Image(5)[0] != 0 || set.Image(4)[5] != 15 {
		t.Errorf("the last two images begin with %d and %d", set.Image(4)[0], set.Image(5)[0])
	}
	if !strings.Contains(messages.String(), "4 files passed over") {
		t.Errorf("messages: %s", messages.String())
	}
	test, err := OpenTest(t.Context(), set, Options{})
	if err != nil || test == nil || test.Info().Name != dir+":t10k" ||
		test.Info().SHA256 == set.Digest() {
		t.Fatalf("the test set is %v, %v", test, err)
	}
	// The same by the folders themselves.
	inner, err := Open(t.Context(), filepath.Join(dir, "train"), Options{})
	if err != nil || inner.Digest() != set.Digest() {
		t.Fatalf("by the folder itself: %v", err)
	}
	if beside, err := OpenTest(t.Context(), inner, Options{}); err != nil || beside == nil ||
		beside.Info().SHA256 != test.Info().SHA256 {
		t.Errorf("its test set: %v", err)
	}
	if again, err := Reopen(t.Context(), set.Info(), Options{}); err != nil ||
		again.Info().SHA256 != set.Digest() {
		t.Errorf("reopened: %v", err)
	}
	if _, err := Open(t.Context(), dir, Options{}); !errors.Is(err, ErrAmbiguous) ||
		!strings.Contains(err.Error(), dir+":train or "+dir+":t10k") {
		t.Errorf("without a part: %v", err)
	}
}

// Pictures of several sizes come to one where that is asked for; one in colour makes all
// coloured; what comes out does not depend on how many cores there are.
func TestPicturesOfSeveralSizes(t *testing.T) {
	dir := t.TempDir()
	for i := range 40 {
		class := []string{"a", "b"}[i%2]
		writePNG(t, filepath.Join(dir, class, string(rune('A'+i))+".png"), 5+i%7, 9-i%5, i == 17,
			uint8(i))
	}
	if _, err := Open(t.Context(), dir, Options{}); !errors.Is(err, ErrSize) ||
		!strings.Contains(err.Error(), "give them one size with -resize") {
		t.Errorf("without a size: %v", err)
	}
	sizing := &picture.Sizing{Height: 6, Width: 4, Fit: picture.Pad}
	var digests []string
	for _, cores := range []int{1, 2, 7} {
		before := runtime.GOMAXPROCS(cores)
		set, err := Open(t.Context(), dir, Options{Sizing: sizing})
		runtime.GOMAXPROCS(before)
		if err != nil {
			t.Fatal(err)
		}
		if set.Channels != 3 || set.Height != 6 || set.Width != 4 ||
			set.Sizing != "resize 6×4 pad bilinear" {
			t.Errorf("%d×%d×%d, %s", set.Channels, set.Height, set.Width, set.Sizing)
		}
		digests = append(digests, set.Digest())
	}
	if digests[0] != digests[1] || digests[1] != digests[2] {
		t.Errorf("digests %v", digests)
	}
	set, err := Open(t.Context(), dir, Options{Sizing: sizing})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Reopen(t.Context(), set.Info(), Options{}); err != nil ||
		again.Info().SHA256 != digests[0] {
		t.Errorf("reopened as recorded: %v", err)
	}
	if grey, err := Open(t.Context(), dir, Options{Sizing: sizing, Channels: 1}); err != nil ||
		grey.Channels != 1 {
		t.Errorf("in grey: %v", err)
	}
	writePNG(t, filepath.Join(dir, "a", "A.png"), 5, 9, false, 99)
	if _, err := Reopen(t.Context(), set.Info(), Options{}); !errors.Is(err, ErrChanged) {
		t.Errorf("after a picture has changed: %v", err)
	}
	if _, err := Open(t.Context(), dir, Options{Sizing: sizing, Limit: 100}); !errors.Is(err,
		ErrTooLarge) {
		t.Errorf("more than may be held: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, dir, Options{Sizing: sizing}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// What is no picture is named, and ends the reading or is left out and told.
func TestDamagedPictures(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"a text":  func(path string) error { return os.WriteFile(path, []byte("<html>"), 0o666) },
		"nothing": func(path string) error { return os.WriteFile(path, nil, 0o666) },
		"half a PNG": func(path string) error {
			return os.WriteFile(path, []byte("\x89PNG\r\n\x1a\n\x00\x00"), 0o666)
		},
		"a named pipe": func(path string) error { return syscall.Mkfifo(path, 0o666) },
		"a dead link":  func(path string) error { return os.Symlink("nowhere", path) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := pictureSet(t)
			odd := filepath.Join(dir, "train", "bee", "odd.png")
			if err := make(odd); err != nil {
				t.Skip("it cannot be made here:", err)
			}
			_, err := Open(t.Context(), dir+":train", Options{})
			if err == nil || !strings.Contains(err.Error(), odd) ||
				!strings.Contains(err.Error(), "-skip-damaged leaves it out") {
				t.Errorf("%v", err)
			}
			var messages bytes.Buffer
			set, err := Open(t.Context(), dir+":train", Options{SkipDamaged: true, Messages: &messages})
			if err != nil || set.Len() != 6 || set.LeftOut != 1 || !strings.Contains(messages.String(),
				"left out: ") || !strings.Contains(messages.String(), odd) {
				t.Fatalf("left out: %v, %s", err, messages.String())
			}
			if again, err := Reopen(t.Context(), set.Info(), Options{}); err != nil || again.Len() != 6 {
				t.Errorf("reopened as recorded: %v", err)
			}
		})
	}
}

// Folders that are no sets say why.
func TestFoldersThatAreNoSets(t *testing.T) {
	empty := pictureSet(t)
	if err := os.Mkdir(filepath.Join(empty, "train", "cat"), 0o777); err != nil {
		t.Fatal(err)
	}
	flat := t.TempDir()
	writePNG(t, filepath.Join(flat, "a.png"), 2, 2, false, 0)
	parted, texts := t.TempDir(), t.TempDir()
	writePNG(t, filepath.Join(parted, "Train", "a.png"), 2, 2, false, 0)
	writePNG(t, filepath.Join(parted, "Test", "a.png"), 2, 2, false, 0)
	if err := os.WriteFile(filepath.Join(texts, "a.txt"), []byte("none"), 0o666); err != nil {
		t.Fatal(err)
	}
	onlyTrain := t.TempDir()
	writePNG(t, filepath.Join(onlyTrain, "train", "ant", "a.png"), 2, 2, false, 0)
	writePNG(t, filepath.Join(onlyTrain, "train", "bee", "a.png"), 2, 2, false, 0)
	for name, test := range map[string]struct {
		spec string
		want error
		says string
	}{
		"parts without classes": {parted + ":train", ErrUnknown,
			filepath.Join(parted, "Train", "CLASS", "a.png")},
		"no parts": {filepath.Join(onlyTrain, "train") + ":train", ErrUnknown,
			"it has no parts: its folders, such as ant, are its classes; give "},
		"no pictures": {texts, ErrUnknown, "nor folders of pictures, one a class"},
		"a part that is not there": {onlyTrain + ":t10k", ErrUnknown,
			"it has pictures in train, and no folder of the part t10k, such as test"},
		"an empty class": {empty + ":train", ErrEmpty, "the class cat has no pictures"},
		"no folders in it": {flat, ErrUnknown,
			"pictures such as a.png lie in no folder of their class; make a folder for each class, "},
		"a picture": {filepath.Join(flat, "a.png"), ErrMagic, "it is a PNG picture"},
	} {
		if _, err := Open(t.Context(), test.spec, Options{}); !errors.Is(err, test.want) ||
			!strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The parts of a set lie in folders called train and test or the like, in any case; a part
// alone is the set.
func TestPartFolders(t *testing.T) {
	for name, test := range map[string]struct {
		folders []string
		spec    string
		part    Part
		want    string // the pictures' folder, empty for an error
		says    string
	}{
		"as usual":    {[]string{"train", "test"}, "", Train, "train", ""},
		"capitals":    {[]string{"Train", "Test"}, "", Train, "Train", ""},
		"Kaggle's":    {[]string{"Training", "Testing"}, "", Test, "Testing", ""},
		"asked for":   {[]string{"TRAIN", "Val"}, ":t10k", Train, "Val", ""},
		"two, unsaid": {[]string{"Train", "Test"}, "", "", "", ":train or "},
		"only one":    {[]string{"Train"}, "", Test, "Train", ""},
		"only a test": {[]string{"val"}, "", Train, "val", ""},
		"a clash": {[]string{"train", "Train", "test"}, "", Train, "",
			"Train and train are both its part train; rename one"},
		"something else": {[]string{"Train", "Test", "more"}, "", Train, "",
			"Train and Test have a folder for each class, and more lies beside them; give "},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for i, folder := range test.folders {
				for _, class := range []string{"ant", "bee"} {
					writePNG(t, filepath.Join(dir, folder, class, "1.png"), 2, 2, false, uint8(10+i))
				}
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) != len(test.folders) {
				t.Skip("this system's names do not tell train from Train")
			}
			set, err := Open(t.Context(), dir+test.spec, Options{Part: test.part})
			if test.want == "" {
				if !errors.Is(err, ErrAmbiguous) || !strings.Contains(err.Error(), test.says) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || !slices.Equal(set.ClassNames, []string{"ant", "bee"}) ||
				set.Images[0] != uint8(10+slices.Index(test.folders, test.want)) {
				t.Errorf("%v: %v", err, set)
			}
		})
	}
}

// The test part beside Train is found as that beside train.
func TestTheTestPartInCapitals(t *testing.T) {
	dir := t.TempDir()
	for _, folder := range []string{"Training", "Testing"} {
		writePNG(t, filepath.Join(dir, folder, "ant", "1.png"), 2, 2, false, 1)
		writePNG(t, filepath.Join(dir, folder, "bee", "1.png"), 2, 2, false, 2)
	}
	for _, spec := range []string{dir, filepath.Join(dir, "Training")} {
		training, err := OpenSource(t.Context(), spec, Options{Part: Train})
		if err != nil {
			t.Fatal(err)
		}
		if test, err := OpenTest(t.Context(), training, Options{}); err != nil || test == nil ||
			test.Len() != 2 {
			t.Errorf("%s: %v, %v", spec, test, err)
		}
	}
}

// A link out of a class to what holds all of them would give it each picture of the set.
func TestLinksThatLeadBack(t *testing.T) {
	for _, target := range []string{"..", filepath.Join("..", "..")} {
		dir := filepath.Join(t.TempDir(), "own")
		writePNG(t, filepath.Join(dir, "ant", "1.png"), 2, 2, false, 1)
		writePNG(t, filepath.Join(dir, "bee", "1.png"), 2, 2, false, 2)
		link := filepath.Join(dir, "ant", "up")
		if err := os.Symlink(target, link); err != nil {
			t.Skip("no links here:", err)
		}
		_, err := Open(t.Context(), dir, Options{})
		if err == nil || !strings.Contains(err.Error(), link+": the link leads back to ") ||
			!strings.Contains(err.Error(), "remove it") {
			t.Errorf("%s: %v", target, err)
		}
	}
	// Two links that lead to each other lead nowhere.
	dir := t.TempDir()
	writePNG(t, filepath.Join(dir, "ant", "1.png"), 2, 2, false, 1)
	writePNG(t, filepath.Join(dir, "bee", "1.png"), 2, 2, false, 2)
	a, b := filepath.Join(dir, "ant", "a.png"), filepath.Join(dir, "ant", "b.png")
	if err := errors.Join(os.Symlink(b, a), os.Symlink(a, b)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, Options{}); err == nil ||
		!strings.Contains(err.Error(), a+" is a link that leads nowhere; remove it") {
		t.Errorf("a loop: %v", err)
	}
}

// Names are what a file system allows; what is said of them stays on its line.
func TestStrangeNames(t *testing.T) {
	dir := t.TempDir()
	class := "ant é\nx\x1b[31m"
	writePNG(t, filepath.Join(dir, class, "a b\n.png"), 2, 2, false, 1)
	writePNG(t, filepath.Join(dir, "bee", "-rf.png"), 2, 2, false, 2)
	set, err := Open(t.Context(), dir, Options{})
	if err != nil || !slices.Equal(set.ClassNames, []string{class, "bee"}) ||
		!slices.Equal(set.Files, []string{class + "/a b\n.png", "bee/-rf.png"}) {
		t.Fatalf("%v: %v", err, set)
	}
	if err := os.WriteFile(filepath.Join(dir, class, "b\n.png"), []byte("no"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, Options{}); err == nil ||
		strings.ContainsAny(err.Error(), "\n\x1b") {
		t.Errorf("%q", err)
	}
}

// Links are followed, each folder once; and a class may be called train.
func TestLinksAndNames(t *testing.T) {
	dir := t.TempDir()
	writePNG(t, filepath.Join(dir, "bus", "deep", "a.png"), 2, 2, false, 1)
	writePNG(t, filepath.Join(dir, "train", "b.png"), 2, 2, false, 2)
	if err := os.Symlink("..", filepath.Join(dir, "bus", "deep", "loop")); err != nil {
		t.Skip("no links here:", err)
	}
	if err := os.Symlink(filepath.Join(dir, "train"), filepath.Join(dir, "linked")); err != nil {
		t.Fatal(err)
	}
	set, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(set.Files, []string{"bus/deep/a.png", "linked/b.png", "train/b.png"}) ||
		!slices.Equal(set.ClassNames, []string{"bus", "linked", "train"}) {
		t.Errorf("files %q of %q", set.Files, set.ClassNames)
	}
}

// A folder of some of the classes is put in the order of all.
func TestRelabelled(t *testing.T) {
	dir := pictureSet(t)
	set, err := Open(t.Context(), dir+":t10k", Options{})
	if err != nil {
		t.Fatal(err)
	}
	all := []string{"bee", "cat", "Wasp ü", "ant"}
	other, err := set.Relabelled(all)
	if err != nil || !slices.Equal(other.Labels, []int32{2, 2, 3, 3, 0, 0}) || other.Classes != 4 ||
		set.Labels[0] != 0 {
		t.Errorf("%v: %v", err, other)
	}
	if _, err := set.Relabelled([]string{"bee", "ant"}); !errors.Is(err, ErrLabel) ||
		!strings.Contains(err.Error(), `"Wasp ü"`) {
		t.Errorf("without one of its classes: %v", err)
	}
}
