package dataset

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/dataset/picture"
)

// An inspection sees the images that Open reads, their levels, and what Open refuses.
func TestInspectPictures(t *testing.T) {
	dir := mixedSet(t)
	if err := os.WriteFile(filepath.Join(dir, "b", "notes.txt"), []byte("mine"),
		0o666); err != nil {
		t.Fatal(err)
	}
	for _, fit := range []picture.Fit{picture.Crop, picture.Pad} {
		opts := Options{Sizing: &picture.Sizing{Height: 6, Width: 4, Fit: fit},
			PictureCache: t.TempDir()}
		got, err := Inspect(t.Context(), dir, opts)
		if err != nil {
			t.Fatal(err)
		}
		opts.SkipDamaged = true
		want, err := Open(t.Context(), dir, opts)
		if err != nil {
			t.Fatal(err)
		}
		images, labels := readAll(t, got.Source, 0)
		if !bytes.Equal(images, want.Images) || !slices.Equal(labels, want.Labels) {
			t.Error("other images, or other labels")
		}
		if got.Source.Info().SHA256 != want.Digest() || got.Source.Info().LeftOut != 2 ||
			got.Source.Info().Place != want.Place {
			t.Errorf("info %+v", got.Source.Info())
		}
		levels, err := levelsOf(t.Context(), want)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(levels.counts, got.Levels.counts) {
			t.Error("other levels")
		}
		if got.Files != 14 || len(got.Damaged) != 2 ||
			!strings.Contains(got.Damaged[0].Error(), filepath.Join(dir, "a", "M.png")) ||
			!strings.Contains(got.Damaged[1].Error(), "N.png") {
			t.Errorf("%d files, damaged: %v", got.Files, got.Damaged)
		}
		if got.PassedOver != 1 || !slices.Equal(got.PassedNames, []string{"b/notes.txt"}) {
			t.Errorf("passed over: %d, %q", got.PassedOver, got.PassedNames)
		}
		if len(got.Sizes) != 12 || got.Sizes[0] != (PictureSize{15, 19}) ||
			got.Sizes[1].String() != "18×16" {
			t.Errorf("sizes %v", got.Sizes)
		}
	}
}

// Pictures of any size are described without one; they cannot be read, and say so.
func TestInspectPicturesOfSeveralSizes(t *testing.T) {
	dir := mixedSet(t)
	got, err := Inspect(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	info := got.Source.Info()
	if info.Images != 12 || info.Height != 0 || info.Width != 0 || info.Channels != 3 ||
		info.Classes != 3 || got.Levels != nil || len(got.Sizes) != 12 {
		t.Errorf("%+v, levels %v, sizes %v", info, got.Levels, got.Sizes)
	}
	err = got.Source.Read(t.Context(), make([]uint8, 9999), nil, []int{0}, 0)
	if !errors.Is(err, ErrSize) || !strings.Contains(err.Error(), "-resize") {
		t.Errorf("read: %v", err)
	}
	if contents, err := ContentsOf(got.Source); err != nil || contents.Len() != 12 {
		t.Errorf("contents: %v", err)
	}
}

func TestInspectOtherSets(t *testing.T) {
	got, err := Inspect(t.Context(), "t10k", Options{})
	if err != nil || got.Source.Len() != 10000 || got.Files != 0 || got.Sizes != nil {
		t.Fatalf("%+v, %v", got, err)
	}
	means, deviations := got.Levels.MeansAndDeviations()
	if lowest, highest := got.Levels.Range(0); lowest != 0 || highest != 255 ||
		got.Levels.Channels() != 1 ||
		means[0] < 0.1325 || means[0] > 0.1326 || deviations[0] < 0.3104 || deviations[0] > 0.3106 {
		t.Errorf("levels %d…%d, %v, %v", lowest, highest, means, deviations)
	}
	if _, err := Inspect(t.Context(), "t1ok", Options{}); !errors.Is(err, ErrUnknown) {
		t.Errorf("an unknown set: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Inspect(ctx, mixedSet(t), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A set of nothing but damaged files is told as such.
func TestInspectDamagedAlone(t *testing.T) {
	dir := pictureSet(t)
	paths, err := filepath.Glob(filepath.Join(dir, "train", "*", "a.png"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if err := errors.Join(os.WriteFile(path, []byte("\x89PNG\r\n\x1a\n\x00\x00"), 0o666),
			os.Remove(filepath.Join(filepath.Dir(path), "b.png"))); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Inspect(t.Context(), dir+":train", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Source.Len() != 0 || len(got.Damaged) != 3 || got.Files != 3 || got.Levels != nil ||
		got.Source.Info().LeftOut != 3 {
		t.Errorf("%+v", got)
	}
	if contents, err := ContentsOf(got.Source); err != nil || contents.Duplicates() != nil ||
		contents.Bytes() != 0 {
		t.Errorf("contents: %v", err)
	}
	// A set to compare with is not asked which of its files are pictures.
	if contents, err := ReadContents(t.Context(), dir+":train", Options{}); err != nil ||
		contents.Len() != 3 {
		t.Errorf("contents: %v", err)
	}
}

func TestLevelsTogether(t *testing.T) {
	levels, err := NewLevels(3)
	if err != nil {
		t.Fatal(err)
	}
	if low, high := levels.Range(1); low != 0 || high != 0 {
		t.Errorf("of no image: %d…%d", low, high)
	}
	if err := levels.Add([]uint8{3, 4, 5, 6, 9, 9}); err != nil {
		t.Fatal(err)
	}
	if low, high := levels.Range(1); low != 5 || high != 6 {
		t.Errorf("the second channel: %d…%d", low, high)
	}
	if low, high := levels.Together().Range(0); low != 3 || high != 9 {
		t.Errorf("all: %d…%d", low, high)
	}
}

// Pictures of one size are counted without -resize, in grey and in colour together.
func TestInspectCountsGreyInEachChannel(t *testing.T) {
	dir := t.TempDir()
	writePNG(t, filepath.Join(dir, "a", "grey.png"), 1, 2, false, 10)
	writePNG(t, filepath.Join(dir, "b", "colour.png"), 1, 2, true, 20)
	got, err := Inspect(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := NewLevels(3)
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range [][]uint8{{10, 11, 10, 11, 10, 11}, {20, 21, 21, 22, 22, 23}} {
		if err := want.Add(image); err != nil {
			t.Fatal(err)
		}
	}
	if got.Levels == nil || !slices.Equal(got.Levels.counts, want.counts) {
		t.Errorf("levels %v", got.Levels)
	}
}
