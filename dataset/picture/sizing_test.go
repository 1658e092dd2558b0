package picture_test

import (
	"strings"
	"testing"

	"slipway/dataset/picture"
)

func TestSizingsGiveTorchvisionsAndPillowsPixels(t *testing.T) {
	all := goldenUnder(t, "size/")
	var resizer picture.Resizer
	var again picture.Image
	for name, want := range all {
		source, text, ok := strings.Cut(name, "/")
		if !ok {
			continue
		}
		t.Run(name, func(t *testing.T) {
			sizing, err := picture.ParseSizing(text)
			if err != nil {
				t.Fatal(err)
			}
			got, err := sizing.Apply(all[source])
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, want)
			if err := resizer.Fit(&again, all[source], sizing); err != nil {
				t.Fatal(err)
			}
			same(t, &again, want)
		})
	}
}

func TestSizingsAreReadAsTheyAreWritten(t *testing.T) {
	for text, want := range map[string]picture.Sizing{
		"resize 224×224 crop bilinear": {Height: 224, Width: 224},
		"resize 1×65536 squash bicubic": {Height: 1, Width: 65536, Fit: picture.Squash,
			Filter: picture.Bicubic},
		"resize 224×224 crop=0.875 bicubic": {Height: 224, Width: 224, Share: 0.875,
			Filter: picture.Bicubic},
		"resize 64×96 pad bicubic": {Height: 64, Width: 96, Fit: picture.Pad,
			Filter: picture.Bicubic},
		"resize 64×96 pad bilinear on #00ff7f": {Height: 64, Width: 96, Fit: picture.Pad,
			Background: picture.Colour{Green: 255, Blue: 127}},
		"resize 28×28 pad bilinear on #ffffff": {Height: 28, Width: 28, Fit: picture.Pad,
			Background: picture.White()},
	} {
		got, err := picture.ParseSizing(text)
		if err != nil || got != want {
			t.Errorf("%q is read as %+v (%v)", text, got, err)
		}
		if want.String() != text {
			t.Errorf("%+v is written as %q", want, want.String())
		}
	}
	if got, err := picture.ParseSizing("resize 20x30 crop bilinear"); err != nil || got.Height != 20 ||
		got.Width != 30 {
		t.Errorf("with an x: %+v (%v)", got, err)
	}
	if got, err := picture.ParseSizing("resize 20×30 crop=1 bilinear"); err != nil ||
		got != (picture.Sizing{Height: 20, Width: 30}) {
		t.Errorf("all of it: %+v (%v)", got, err)
	}
	for _, text := range []string{
		"resize 5×5 crop=0 bilinear", "resize 5×5 crop=-1 bilinear", "resize 5×5 crop=1.1 bilinear",
		"resize 5×5 crop=NaN bilinear",
		"resize 5×5 crop=half bilinear", "resize 5×5 crop= bilinear", "resize 5×5 pad=0.5 bilinear",
		"resize 5×5 crop=1e-300 bilinear",
		"resize 9000×9000 crop=0.5 bilinear", "resize 5×5 squash=1e-9 bicubic",
		"", "resize", "224", "resize 224 crop bilinear", "resize 0×5 crop bilinear",
		"resize -1×5 crop bilinear",
		"resize 5×70000 crop bilinear", "resize 5×5×5 crop bilinear", "resize 5×5 fill bilinear",
		"resize 5×5 crop nearest",
		"resize 5×5 crop bilinear on #ffffff", "resize 5×5 pad bilinear on white",
		"resize 5×5 pad bilinear on #+12345",
		"resize 5×5 pad bilinear #ffffff", "resize +5×5 crop bilinear", "scale 5×5 crop bilinear",
		"resize 99999999999999999999×5 crop bilinear",
	} {
		if got, err := picture.ParseSizing(text); err == nil {
			t.Errorf("%q is read as %+v", text, got)
		} else if !strings.Contains(err.Error(), text) {
			t.Errorf("%q: the error does not repeat it: %v", text, err)
		}
	}
}

func TestResizeRefusesWhatIsNoImageOrSize(t *testing.T) {
	image := picture.New(3, 4, 5)
	var out picture.Image
	var resizer picture.Resizer
	nan := float32(0)
	nan /= nan
	for name, err := range map[string]error{
		"no image": resizer.Fit(&out, nil, picture.Sizing{Height: 1, Width: 1}),
		"no pixels": resizer.Fit(&out, &picture.Image{Channels: 1, Height: 2, Width: 2},
			picture.Sizing{Height: 1, Width: 1}),
		"two channels":   resizer.Fit(&out, picture.New(2, 2, 2), picture.Sizing{Height: 1, Width: 1}),
		"no size":        resizer.Fit(&out, image, picture.Sizing{}),
		"unknown fit":    resizer.Fit(&out, image, picture.Sizing{Height: 1, Width: 1, Fit: 7}),
		"unknown filter": resizer.Fit(&out, image, picture.Sizing{Height: 1, Width: 1, Filter: 7}),
		"too large":      resizer.Resize(&out, image, image.Bounds(), 1<<17, 1, picture.Bilinear),
		"outside": resizer.Resize(&out, image, picture.Box{Right: 6, Bottom: 4}, 2, 2,
			picture.Bilinear),
		"empty box": resizer.Resize(&out, image, picture.Box{Left: 2, Right: 2, Bottom: 4}, 2, 2,
			picture.Bilinear),
		"NaN": resizer.Resize(&out, image, picture.Box{Left: nan, Right: 2, Bottom: 4}, 2, 2,
			picture.Bilinear),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// What is asked for is refused before it is made.
func TestSizingsThatAreTooLarge(t *testing.T) {
	image := picture.New(3, 2, 2)
	for _, size := range [][2]int{{65536, 65536}, {10001, 10000}, {65537, 1}, {0, 1}} {
		sizing := picture.Sizing{Height: size[0], Width: size[1]}
		if _, err := sizing.Apply(image); err == nil || sizing.Check() == nil {
			t.Errorf("%v: no error", size)
		}
	}
	if err := (picture.Sizing{Height: 10000, Width: 10000}).Check(); err != nil {
		t.Error(err)
	}
}

// A strip of paper is scaled to far more than is taken from it.
func TestFitOfExtremeProportions(t *testing.T) {
	for _, fit := range []picture.Fit{picture.Crop, picture.Pad, picture.Squash} {
		for _, image := range []*picture.Image{picture.New(1, 1, 200_000), picture.New(1, 200_000, 1)} {
			got, err := picture.Sizing{Height: 224, Width: 224, Fit: fit,
				Filter: picture.Bicubic}.Apply(image)
			if err != nil || got.Height != 224 || got.Width != 224 {
				t.Errorf("%v of %d×%d: %v", fit, image.Height, image.Width, err)
			}
		}
	}
}

func TestResizerDoesNotAllocate(t *testing.T) {
	image := picture.New(3, 120, 160)
	var out picture.Image
	var resizer picture.Resizer
	for _, fit := range []picture.Fit{picture.Crop, picture.Pad, picture.Squash} {
		allocations := testing.AllocsPerRun(5, func() {
			if err := resizer.Fit(&out, image, picture.Sizing{Height: 64, Width: 64, Fit: fit}); err != nil {
				t.Fatal(err)
			}
		})
		if allocations > 0 {
			t.Errorf("%v: %g allocations", fit, allocations)
		}
	}
}
