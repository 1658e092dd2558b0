package dataset

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// writePicture writes a PNG of one colour, with a mark that tells it from others.
func writePicture(t *testing.T, path string, height, width int, mark uint8) {
	t.Helper()
	picture := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range height * width {
		picture.SetRGBA(i%width, i/width, color.RGBA{200, 100, mark, 255})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, b.Bytes())
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, to, data)
}

// ownSet writes a set of pictures of three sizes: 5 ants, 3 bees and a wasp to train on,
// one of each to test on. An ant and a bee are the same, and two of the test set are of the
// training set, one as another class.
func ownSet(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "own")
	at := func(parts ...string) string { return filepath.Join(append([]string{dir}, parts...)...) }
	for i := range 5 {
		writePicture(t, at("train", "ant", string(rune('a'+i))+".png"), 8, 6, uint8(i))
	}
	writePicture(t, at("train", "bee", "a.png"), 4, 4, 10)
	writePicture(t, at("train", "bee", "b.png"), 20, 30, 11)
	copyFile(t, at("train", "ant", "b.png"), at("train", "bee", "c.png"))
	writePicture(t, at("train", "wasp", "a.png"), 8, 6, 20)
	copyFile(t, at("train", "ant", "c.png"), at("test", "ant", "x.png"))
	copyFile(t, at("train", "bee", "a.png"), at("test", "wasp", "x.png"))
	writePicture(t, at("test", "bee", "x.png"), 4, 4, 30)
	return dir
}

// damage puts two files into the set that are no pictures, and two that are passed over.
func damage(t *testing.T, dir string) {
	t.Helper()
	bees := filepath.Join(dir, "train", "bee")
	writeFile(t, filepath.Join(bees, "page.png"), []byte("<html>"))
	writeFile(t, filepath.Join(bees, "cut.png"), []byte("\x89PNG\r\n\x1a\n\x00\x00"))
	writeFile(t, filepath.Join(bees, "notes.txt"), []byte("mine"))
	writeFile(t, filepath.Join(bees, "Thumbs.db"), []byte("x"))
}

// showed runs dataset show, and returns what it printed.
func showed(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), append([]string{"show"}, args...), &out, &errs)
	return code, out.String(), errs.String()
}

func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !slices.Contains(strings.Split(text, "\n"), line) {
			t.Errorf("the line %q is not in\n%s", line, text)
		}
	}
}

// Pictures of one size by -resize are told with their levels and drawn.
func TestShowPictures(t *testing.T) {
	dir := ownSet(t)
	sheet := filepath.Join(t.TempDir(), "sheet.png")
	code, out, errs := showed(t, "-data", dir+":train", "-resize", "4", "-o", sheet)
	if code != 0 || errs != "" {
		t.Fatalf("exit code %d, stderr %q", code, errs)
	}
	// Blue is 0, 1, 2, 3, 4, 10, 11, 1 and 20.
	wantLines(t, out,
		"images: [9, 3, 4, 4] uint8",
		"labels: [9] int32, 3 classes, labels are 0 to 2",
		"red:    min 200, max 200, mean 200.0000, std 0.0000; of 1: mean 0.7843, std 0.0000",
		"blue:   min 0, max 20, mean 5.7778, std 6.2499; of 1: mean 0.0227, std 0.0245",
		"sizes:  3 different in the files (height × width): smallest 4×4, median 8×6, largest 20×30",
		"    0       5  55.56 %  ant",
		"balance: largest class ant (5 images), smallest wasp (1 image): 5.0 to 1",
		"         always answering ant would be right for 55.56 %: a model has to beat that",
		"note: the classes are uneven: the accuracy says little of the small ones; look at each class",
		"note: 1 class has a single image: wasp",
		"damaged: none of 9 files",
		"copies: 1 of 9 images is the same as an earlier one",
		"note: an image is there with different labels: one of them is wrong",
		"  ant/b.png (ant), bee/c.png (bee)",
		"shared: 2 of 3 images of "+dir+
			":t10k are in this set, too: they do not tell how a model does on others",
		"note: 1 image has another label there than here",
		"  wasp/x.png (wasp) there is bee/a.png (bee) here",
		"  ant/x.png there is ant/c.png here",
		"contact sheet of 9 images: "+sheet,
	)
	f, err := os.Open(sheet)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if drawn, err := png.Decode(f); err != nil || drawn.At(4, 4) != (color.RGBA{200, 100, 0, 255}) {
		t.Errorf("the sheet begins with %v, %v", drawn.At(4, 4), err)
	}
}

// What can be told of pictures of several sizes is told, and what training needs.
func TestShowPicturesOfSeveralSizes(t *testing.T) {
	dir := ownSet(t)
	t.Chdir(t.TempDir())
	code, out, errs := showed(t, "-data", dir+":train")
	if code != 0 || errs != "" {
		t.Fatalf("exit code %d, stderr %q", code, errs)
	}
	wantLines(t, out, "images: 9 of 3 sizes, with 3 channels",
		"note: training needs pictures of one size: give it -resize",
		"sizes:  3 different in the files (height × width): smallest 4×4, median 8×6, largest 20×30",
		"  ant/b.png (ant), bee/c.png (bee)", "no contact sheet: that, too, needs -resize")
	if strings.Contains(out, "pixels:") {
		t.Errorf("levels of several sizes:\n%s", out)
	}
	if _, err := os.Stat("sheet.png"); err == nil {
		t.Error("there is a sheet")
	}
	for _, flag := range []string{"-o=own.png", "-n=5", "-augment=flip"} {
		code, out, errs := showed(t, "-data", dir+":train", flag)
		if code != 1 || !strings.Contains(errs,
			"the pictures are of 3 sizes; give them one with -resize") ||
			!strings.Contains(out, "shared: ") {
			t.Errorf("%s: exit code %d, %q after\n%s", flag, code, errs, out)
		}
	}
}

// All damaged files are told, with and without -skip-damaged.
func TestShowDamagedPictures(t *testing.T) {
	dir := ownSet(t)
	damage(t, dir)
	bees := filepath.Join(dir, "train", "bee")
	for _, test := range []struct {
		args []string
		code int
	}{{nil, 1}, {[]string{"-resize", "4"}, 1}, {[]string{"-skip-damaged"}, 0}} {
		code, out, errs := showed(t, append([]string{"-data", dir + ":train", "-o="},
			test.args...)...)
		if code != test.code || strings.Contains(errs,
			"2 of 11 files cannot be read, as listed") != (code == 1) {
			t.Errorf("%v: exit code %d, %q", test.args, code, errs)
		}
		wantLines(t, out, "damaged: 2 of 11 files",
			"passed over: 2 files, no pictures by their names; -v names them",
			"note: 1 class has a single image: wasp")
		for _, name := range []string{"page.png", "cut.png"} {
			if !strings.Contains(out, "\n  "+filepath.Join(bees, name)+": ") {
				t.Errorf("%s is not told in\n%s", name, out)
			}
		}
	}
	_, out, _ := showed(t, "-data", dir+":train", "-o=", "-v")
	wantLines(t, out, "passed over: 2 files, no pictures by their names:", "  bee/Thumbs.db",
		"  bee/notes.txt")
}

// A set of damaged files alone is told as such.
func TestShowNothingButDamage(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "ant", "a.png"), []byte("\x89PNG\r\n\x1a\n\x00\x00"))
	code, out, errs := showed(t, "-data", dir, "-resize", "4", "-o", filepath.Join(dir,
		"sheet.png"))
	if code != 1 || !strings.Contains(out, "damaged: 1 of 1 file\n") ||
		!strings.Contains(errs, "1 of 1 file cannot be read") {
		t.Errorf("exit code %d, %q after\n%s", code, errs, out)
	}
	if code, _, errs = showed(t, "-data", dir, "-skip-damaged"); code != 1 ||
		!strings.Contains(errs, "no images") {
		t.Errorf("skipped: exit code %d, %q", code, errs)
	}
}

// Long lists are cut off, and -v tells them all.
func TestShowManyCopies(t *testing.T) {
	dir := t.TempDir()
	for class := range 7 {
		for copies := range 8 {
			name := string(rune('a'+copies)) + ".png"
			writePicture(t, filepath.Join(dir, "train", string(rune('A'+class)), name), 2, 2,
				uint8(class))
		}
		writePicture(t, filepath.Join(dir, "test", string(rune('A'+class)), "x.png"), 2, 2,
			uint8(class))
	}
	code, out, errs := showed(t, "-data", dir+":train", "-o=")
	if code != 0 {
		t.Fatal(errs)
	}
	wantLines(t, out, "copies: 49 of 56 images are the same as an earlier one",
		"  A/a.png, A/b.png, A/c.png, A/d.png, A/e.png and 3 more",
		"  and 2 more; -v names them", "images: [56, 3, 2, 2] uint8",
		"sizes:  all pictures are 2×2 in their files (height × width)")
	if strings.Contains(out, "uneven") || strings.Contains(out, "more; -v names them\n  and") {
		t.Errorf("it says\n%s", out)
	}
	_, out, _ = showed(t, "-data", dir+":train", "-o=", "-v")
	wantLines(t, out, "  G/a.png, G/b.png, G/c.png, G/d.png, G/e.png, G/f.png, G/g.png, G/h.png",
		"  G/x.png there is G/a.png here")
}

// -against names the set to compare with, or none.
func TestShowAgainst(t *testing.T) {
	dir := ownSet(t)
	for _, test := range []struct {
		args string
		code int
		want string // in what is printed
	}{
		{"-against none", 0, ""},
		{"-against " + dir + ":t10k", 0, "shared: 2 of 3 images"},
		{"-against " + filepath.Join(dir, "test", "bee") + "x", 1, "-against: unknown data set"},
		{"-against t10k", 1, "t10k has images of 1×28×28, " + dir + ":train has files of pictures"},
		{"-against=", 2, "-against is empty"},
		{"-memory 1GB", 2, "unknown flag -memory"},
	} {
		code, out, errs := showed(t, append([]string{"-data", dir + ":train", "-o="},
			strings.Fields(test.args)...)...)
		if code != test.code || !strings.Contains(out+errs, test.want) || test.want == "" &&
			strings.Contains(out, "shared:") {
			t.Errorf("%s: exit code %d\n%s%s", test.args, code, out, errs)
		}
	}
	// Nobody asks for the test set of this one, which cannot be compared.
	idx := filepath.Join(t.TempDir(), "idx")
	writeFolder(t, idx, "train", 3)
	writeFile(t, filepath.Join(idx, "t10k-images-idx3-ubyte"), []byte("x"))
	writeFile(t, filepath.Join(idx, "t10k-labels-idx1-ubyte"), []byte("x"))
	code, out, errs := showed(t, "-data", idx+":train", "-o=")
	if code != 0 || !strings.Contains(out, "shared: not compared with the test set: ") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	wantLines(t, out, "copies: 2 of 3 images are the same as an earlier one",
		"  image 0 (0), image 1 (1), image 2 (2)")
}
