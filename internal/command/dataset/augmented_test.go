package dataset

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/dataset"
	"slipway/dataset/augment"
)

// augmentedSheet runs dataset show with -augment on t10k and reads the sheet.
func augmentedSheet(t *testing.T, arguments ...string) (image.Image, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sheet.png")
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), append([]string{"show", "-o", path, "-augment"}, arguments...),
		&stdout, &stderr); code != 0 || stderr.Len() != 0 {
		t.Fatalf("exit code %d, stderr %q", code, stderr.String())
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sheet, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return sheet, stdout.String()
}

// The sheet's cells are the images, and what an Augmenter of the same seed makes of them.
func TestShowAugmented(t *testing.T) {
	const text = "rotation=20,shift=3"
	sheet, said := augmentedSheet(t, text, "-n", "3", "-columns", "4", "-epoch", "2", "-seed", "5")
	if !strings.Contains(said, "contact sheet of 3 images in epochs 2 to 4, "+text+", seed 5: ") {
		t.Errorf("it says %q", said)
	}
	set, err := dataset.Open(t.Context(), "t10k", dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	list, err := augment.ParseList(text)
	if err != nil {
		t.Fatal(err)
	}
	augmenter, err := augment.New(list, 5, 1, 28, 28)
	if err != nil {
		t.Fatal(err)
	}
	// Each cell is an image enlarged twofold, a caption under it, and a gap of 4.
	const zoom, cell, high = 2, 2*28 + 4, 2*28 + 13 + 4
	if b := sheet.Bounds(); b.Dx() != 4*cell+4 || b.Dy() != 3*high+4 {
		t.Fatalf("the sheet is %v", b)
	}
	for row := range 3 {
		for column := range 4 {
			want := bytes.Clone(set.Image(row))
			if column > 0 {
				// Epoch 2 is 1 from 0.
				if err := augmenter.Apply(want, want, column, row); err != nil {
					t.Fatal(err)
				}
			}
			for i, v := range want {
				x, y := 4+column*cell+i%28*zoom, 4+row*high+i/28*zoom
				if r, _, _, _ := sheet.At(x, y).RGBA(); uint8(r>>8) != v {
					t.Fatalf("row %d, column %d, pixel %d is %d, want %d", row, column, i, r>>8, v)
				}
			}
		}
	}
}

func TestShowAugmentedHasTenRows(t *testing.T) {
	sheet, _ := augmentedSheet(t, "random-resized-crop,flip,rand-augment")
	if b := sheet.Bounds(); b.Dy() != 10*73+4 || b.Dx() != 10*60+4 {
		t.Errorf("the sheet is %v", b)
	}
}

// Parts are taken of the pictures themselves: noise of 64×64 that has come to 8×8 is nearly one
// grey, and a 64th of it is not.
func TestShowAugmentedTakesPartsOfPictures(t *testing.T) {
	dir := t.TempDir()
	for n, class := range []string{"ant", "bee"} {
		noise := image.NewGray(image.Rect(0, 0, 64, 64))
		for i := range noise.Pix {
			noise.Pix[i] = uint8((i*i*(2*n+7) + i>>3) % 256)
		}
		var b bytes.Buffer
		if err := png.Encode(&b, noise); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, class), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, class, "1.png"), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sheet, _ := augmentedSheet(t, "random-resized-crop=0.0156..0.0157", "-data", dir, "-resize", "8",
		"-columns", "2")
	spread := func(left int) int {
		low, high := 255, 0
		for y := 4; y < 4+56; y++ {
			for x := left; x < left+56; x++ {
				r, _, _, _ := sheet.At(x, y).RGBA()
				low, high = min(low, int(r>>8)), max(high, int(r>>8))
			}
		}
		return high - low
	}
	if whole, part := spread(4), spread(4+60); part < 2*whole {
		t.Errorf("greys spread over %d of the whole picture, and %d of a part", whole, part)
	}
}

func TestShowAugmentedRejects(t *testing.T) {
	sheet := filepath.Join(t.TempDir(), "sheet.png")
	for _, test := range []struct {
		args string
		code int
		want string
	}{
		{"-augment flop", 2, `the operation "flop" is unknown`},
		{"-augment=", 2, "-augment is empty"},
		{"-augment flip=2", 2, "the probability is not above 0"},
		{"-augment shift=28", 1, "leaves nothing of the 28×28 images"},
		{"-augment grayscale", 1, "it is for coloured images"},
		{"-augment flip -epoch 0", 2, "epochs count from 1"},
		{"-augment flip -columns 1", 2, "at least 2 are needed"},
		{"-augment flip -n 1001", 2, "more than 10000 images"},
		{"-augment flip -columns 99999999", 2, "more than 10000 images"},
		{"-augment flip -n 0", 2, "at least 1 image"},
		{"-augment flip -o=", 2, "draws none"},
		{"-epoch 2", 2, "-epoch says what -augment shows"},
		{"-seed 2", 2, "-seed says what -augment shows"},
	} {
		var stdout, stderr bytes.Buffer
		args := append([]string{"show", "-o", sheet}, strings.Fields(test.args)...)
		if code := run(t.Context(), args, &stdout, &stderr); code != test.code ||
			!strings.Contains(stderr.String(), test.want) {
			t.Errorf("%s: exit code %d, stderr %q; want %d and %q", test.args, code,
				stderr.String(), test.code, test.want)
		}
		if _, err := os.Stat(sheet); err == nil {
			t.Errorf("%s left a sheet", test.args)
		}
	}
}
