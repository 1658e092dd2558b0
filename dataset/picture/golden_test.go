package picture_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"slipway/dataset/picture"
	"slipway/scripts/golden/goldentest"
)

// golden is what Pillow made, by name; scripts/golden/pictures.py says what the names mean.
var golden = sync.OnceValues(func() (map[string]*picture.Image, error) {
	file, err := goldentest.ReadPacked("testdata/golden.safetensors.gz")
	if err != nil {
		return nil, err
	}
	images := map[string]*picture.Image{}
	for _, tensor := range file.Tensors {
		images[tensor.Name] = &picture.Image{
			Channels: tensor.Shape[0], Height: tensor.Shape[1], Width: tensor.Shape[2], Pixels: tensor.Data,
		}
	}
	return images, nil
})

// goldenUnder is the part of golden whose names begin with the prefix, without it.
func goldenUnder(t testing.TB, prefix string) map[string]*picture.Image {
	t.Helper()
	all, err := golden()
	if err != nil {
		t.Fatal(err)
	}
	part := map[string]*picture.Image{}
	for name, image := range all {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			part[rest] = image
		}
	}
	if len(part) == 0 {
		t.Fatalf("nothing is under %q", prefix)
	}
	return part
}

func pictureFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata/pictures", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// same fails unless two images are equal in every pixel, and tells how often they differ by how
// much.
func same(t *testing.T, got, want *picture.Image) {
	t.Helper()
	if got.Channels != want.Channels || got.Height != want.Height || got.Width != want.Width {
		t.Fatalf("%d×%d×%d (channels, height, width), Pillow has %d×%d×%d",
			got.Channels, got.Height, got.Width, want.Channels, want.Height, want.Width)
	}
	differences := map[int]int{}
	for i, v := range got.Pixels {
		differences[int(v)-int(want.Pixels[i])]++
	}
	if differences[0] != len(want.Pixels) {
		t.Errorf("difference from Pillow: how many values: %v", differences)
	}
}

func TestDecodeGivesPillowsPixels(t *testing.T) {
	for name, want := range goldenUnder(t, "decoded/") {
		t.Run(name, func(t *testing.T) {
			got, err := picture.Decode(pictureFile(t, name), picture.Options{})
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, want)
		})
	}
}

func TestConfigTellsWhatDecodeMakes(t *testing.T) {
	for name, want := range goldenUnder(t, "decoded/") {
		t.Run(name, func(t *testing.T) {
			config, err := picture.ReadConfig(pictureFile(t, name))
			if err != nil {
				t.Fatal(err)
			}
			if config.Channels != want.Channels || config.Height != want.Height ||
				config.Width != want.Width {
				t.Errorf("%+v; the picture is %d×%d×%d", config, want.Channels, want.Height, want.Width)
			}
			kind, _, _ := strings.Cut(name, "-")
			if !strings.EqualFold(config.Format, kind) {
				t.Errorf("format %q", config.Format)
			}
		})
	}
}

func TestDecodeLaysTransparentPicturesOnTheBackground(t *testing.T) {
	for name, want := range goldenUnder(t, "background/") {
		file, hex, _ := strings.Cut(name, "/")
		t.Run(name, func(t *testing.T) {
			colour, err := picture.ParseColour(hex)
			if err != nil {
				t.Fatal(err)
			}
			got, err := picture.Decode(pictureFile(t, file), picture.Options{Background: &colour})
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, want)
		})
	}
}

func TestDecodeToOtherChannels(t *testing.T) {
	grey, err := picture.Decode(pictureFile(t, "jpeg-420"), picture.Options{Channels: 1})
	if err != nil {
		t.Fatal(err)
	}
	same(t, grey, goldenUnder(t, "grey/")["jpeg-420"])

	coloured, err := picture.Decode(pictureFile(t, "jpeg-grey"), picture.Options{Channels: 3})
	if err != nil {
		t.Fatal(err)
	}
	back, err := coloured.ToChannels(1)
	if err != nil {
		t.Fatal(err)
	}
	same(t, back, goldenUnder(t, "decoded/")["jpeg-grey"])
}
