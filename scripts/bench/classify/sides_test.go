package main

import (
	"context"
	"image"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway/infer"
	"slipway/infer/port"
	"slipway/internal/librarytest"
	"slipway/onnx"
)

const colourModel = "../../../graphs/resnet20.onnx"

func TestMain(m *testing.M) { librarytest.Main(m) }

// noise is a set of pictures as resnet20 takes them.
func noise(n int) images {
	source := rand.New(rand.NewPCG(1, 2))
	set := images{width: 32, height: 32, what: "noise"}
	for range n {
		planes := make([]uint8, 3*32*32)
		for i := range planes {
			planes[i] = uint8(source.IntN(256))
		}
		set.all = append(set.all, fromPlanes(planes, 32, 32))
	}
	return set
}

// hugotBuilt is a folder with hugot's side in pure Go, and a reason in the place of the other; it
// is empty where hugot's modules are not at hand.
func hugotBuilt(t *testing.T) string {
	t.Helper()
	const module = "../hugot"
	list := exec.Command("go", "list", "-C", module, "-mod=readonly", "-deps", ".")
	list.Env = append(os.Environ(), "GOPROXY=off", "CGO_ENABLED=0")
	if output, err := list.CombinedOutput(); err != nil {
		t.Logf("without hugot: its modules are not at hand (go mod download in %s): %s", module, output)
		return ""
	}
	folder := t.TempDir()
	for _, arguments := range [][]string{
		{"vet", "-C", module, "."}, {"build", "-C", module, "-o", filepath.Join(folder, "hugot-go"), "."},
	} {
		c := exec.Command("go", arguments...)
		c.Env = list.Env
		if output, err := c.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", arguments[0], err, output)
		}
	}
	why := []byte("a test does not build it\n")
	if err := os.WriteFile(filepath.Join(folder, "hugot-ort.missing"), why, 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// All sides give the same labels, are measured, and are in the table; of one that is not there the
// table says why.
func TestSidesOnPicturesInColour(t *testing.T) {
	if testing.Short() {
		t.Skip("builds hugot's side")
	}
	if _, err := infer.FindLibrary("", false); err != nil {
		t.Skipf("no onnxruntime: %v; make setup brings it", err)
	}
	p := plan{model: colourModel, data: "noise", hugot: hugotBuilt(t), rounds: 1}
	set := noise(3)
	sides, missing, closeAll, err := open(t.Context(), p, set)
	defer closeAll()
	if err != nil {
		t.Fatal(err)
	}
	if err := agree(t.Context(), sides); err != nil {
		t.Fatal(err)
	}
	if err := measure(t.Context(), sides, p.rounds); err != nil {
		t.Fatal(err)
	}
	page := table(p, set, sides, missing)
	wanted := []string{"| classify |", "| classify on onnxruntime |", "| onnxruntime_go by hand |"}
	if p.hugot == "" {
		wanted = append(wanted, "hugot (Go): left out, because -hugot was not given.")
	} else {
		wanted = append(wanted, "| hugot (Go) |", "- hugot (Go): hugot v",
			"simplego, pure Go; GOMAXPROCS 1",
			"hugot (onnxruntime): left out, because a test does not build it.")
	}
	for _, want := range wanted {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in the page:\n%s", want, page)
		}
	}
	for _, s := range sides {
		if taken := s.samples[0]; taken.Micros <= 0 || taken.Computed < 0 || taken.Allocations < 0.5 {
			t.Errorf("%s: %+v", s.name, taken)
		}
	}
}

// Images of another size than the model's are refused: each side would resize them otherwise.
func TestSizeOfPictures(t *testing.T) {
	set := noise(1)
	set.all[0], set.width = image.NewRGBA(image.Rect(0, 0, 31, 32)), 31
	_, _, closeAll, err := open(t.Context(), plan{model: colourModel, data: "noise"}, set)
	defer closeAll()
	if err == nil || !strings.Contains(err.Error(), "takes images of 32×32, and these are of 31×32") {
		t.Errorf("%v", err)
	}
}

// What hugot is told of pixels is the rule that the model records.
func TestNormalizationIsThePixelRule(t *testing.T) {
	means, deviations, err := normalization(colourModel)
	if err != nil {
		t.Fatal(err)
	}
	model, err := onnx.Read(colourModel)
	if err != nil {
		t.Fatal(err)
	}
	pixels, err := port.PixelsOfModel(model)
	if err != nil {
		t.Fatal(err)
	}
	for c := range 3 {
		for x, want := range pixels.ChannelTable(c) {
			got := (float32(x)/255 - means[c]) / deviations[c]
			if math.Abs(float64(got-want)) > 1e-5 {
				t.Fatalf("byte %d of channel %d becomes %v, and %v by the model's rule", x, c, got, want)
			}
		}
	}
}

// An answer that is another one is named by its image and both sides.
func TestDisagreement(t *testing.T) {
	sides := []*side{{name: "one", subject: said{"cat", "dog"}},
		{name: "two", subject: said{"cat", "ox"}}}
	err := agree(t.Context(), sides)
	if err == nil || err.Error() != `image 1 is "dog" for one, and "ox" for two` {
		t.Errorf("%v", err)
	}
	sides[1].subject = said{"cat"}
	if err := agree(t.Context(), sides); err == nil {
		t.Error("an answer that is missing is not seen")
	}
}

// said is a subject with these labels.
type said []string

func (s said) labels(context.Context) ([]string, error) { return s, nil }

func (s said) round(context.Context) (sample, error) { return sample{}, nil }
