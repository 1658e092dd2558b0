package train

import (
	"path/filepath"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/datasettest"
)

// A run says what it is trained and tested on, and whose images it learned from.
func TestSetsAreTold(t *testing.T) {
	mine := dataset.Info{Name: "there/mine", Place: "/there/mine", Images: 2, Channels: 1, Height: 1,
		Width: 1, Classes: 2}
	known := dataset.Info{Name: "train", Title: "MNIST", Authors: "LeCun"}
	for want, sets := range map[string]Sets{
		"trained on there/mine, 2 images 1×1×1, 2 classes; tested on nothing": {Training: mine},
		"trained on train (MNIST); tested on there/mine, 2 images 1×1×1, 2 classes": {Training: known,
			Test: &mine},
	} {
		if got := sets.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := (Sets{Training: mine, Test: &known}).Attribution(); got != "" {
		t.Errorf("an unknown set is attributed to %q", got)
	}
	if got := (Sets{Training: known}).Attribution(); got != "MNIST: LeCun" {
		t.Errorf("MNIST is attributed to %q", got)
	}
}

// Each set that there is loses its places, and none appears that there is not; the run's own
// record keeps them.
func TestEachSetLosesItsPlaces(t *testing.T) {
	info := func() *dataset.Info {
		return &dataset.Info{Name: "there/mine:train", Place: "/there/mine:train", SHA256: "1"}
	}
	whole := Sets{Training: *info(), Validation: info(), Test: info()}
	hidden := whole.WithoutPlaces()
	for name, set := range map[string]*dataset.Info{"training": &hidden.Training,
		"validation": hidden.Validation, "test": hidden.Test} {
		if set == nil || set.Name != "mine:train" || set.Place != "" || set.SHA256 != "1" {
			t.Errorf("the %s set is told as %+v", name, set)
		}
	}
	if whole.Validation.Place == "" || whole.Test.Place == "" {
		t.Error("the run's own record lost its places")
	}
	if few := (Sets{Training: *info()}).WithoutPlaces(); few.Validation != nil || few.Test != nil {
		t.Errorf("sets that there are not: %+v", few)
	}
}

// A run is tested on images that its network takes, of classes that mean the same.
func TestTestOn(t *testing.T) {
	trainer := newSmallTrainer(t, smallConfig(builder.EngineNative))
	defer trainer.Close()
	named := func(names ...string) *dataset.Set {
		t.Helper()
		set, err := datasettest.Bars(t, 20).WithClassNames(names)
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	if err := trainer.TestOn(datasettest.Digits(t, 5)); err == nil || trainer.Sets().Test != nil {
		t.Errorf("images of another shape: %v, recorded as %v", err, trainer.Sets().Test)
	}
	// The training set's classes have no names: nothing is contradicted.
	if err := trainer.TestOn(named("top", "middle", "bottom")); err != nil {
		t.Fatal(err)
	}
	if test := trainer.Sets().Test; test == nil || test.Images != 20 {
		t.Errorf("recorded is %+v", test)
	}

	learned, err := New(smallNetwork(t), named("top", "middle", "bottom"),
		smallConfig(builder.EngineNative), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer learned.Close()
	if err := learned.TestOn(named("top", "bottom", "middle")); err == nil ||
		!strings.Contains(err.Error(), `class 1 is "middle" in small and "bottom" in small`) ||
		learned.Sets().Test != nil {
		t.Errorf("classes in another order: %v", err)
	}
	if err := learned.TestOn(named("top", "middle", "bottom")); err != nil {
		t.Error(err)
	}
}

// A checkpoint knows its set: by the digest, and those of before sets were recorded also by
// the one that took the set for one of ten classes, or of as many as the network tells apart.
func TestCheckpointsHoldTheirSet(t *testing.T) {
	set := datasettest.Bars(t, 20)
	digest := set.Digest()
	recorded := Sets{Training: dataset.Info{Images: 20}}
	network := smallNetwork(t) // of three classes
	four, err := builder.New("four", builder.Shape{1, 6, 6}, builder.Flatten{},
		builder.Dense{Units: 4})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		data string
		sets Sets
		want bool
	}{
		"nothing known":            {"", Sets{}, true},
		"the digest":               {digest, recorded, true},
		"another set":              {"another", recorded, false},
		"another set, before":      {"another", Sets{}, false},
		"ten classes, before":      {set.DigestOf(10), Sets{}, true},
		"ten classes, now":         {set.DigestOf(10), recorded, false},
		"other classes, before":    {set.DigestOf(4), Sets{}, false},
		"the network's, before":    {digest, Sets{}, true},
		"more than a byte, before": {set.DigestOf(256), Sets{}, false},
	} {
		checkpoint := Checkpoint{Network: network, Data: test.data, Sets: test.sets}
		if checkpoint.holds(set, digest) != test.want {
			t.Errorf("%s: %t", name, !test.want)
		}
	}
	if old := (&Checkpoint{Network: four, Data: set.DigestOf(4)}); !old.holds(set, digest) {
		t.Error("a set taken for one of as many classes as the network's is another")
	}
}

// Whose weights a run began with is in its checkpoint, stays there when it goes on, and is told.
func TestWhoseWeightsARunBeganWith(t *testing.T) {
	set := datasettest.Bars(t, 60)
	config := smallConfig("native")
	config.Epochs = 1
	trainer, err := New(smallNetwork(t), set, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	trainer.BeganFrom("Net by Somebody, Apache-2.0")
	if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "checkpoint")
	if err := WriteCheckpoint(path, trainer.Checkpoint()); err != nil {
		t.Fatal(err)
	}
	checkpoint, err := ReadCheckpoint(path)
	if err != nil {
		t.Fatal(err)
	}
	config.Epochs = 2
	resumed, err := Resume(checkpoint, set, config)
	if err != nil {
		t.Fatal(err)
	}
	defer resumed.Close()
	if err := resumed.TestOn(set); err != nil {
		t.Fatal(err)
	}
	for _, sets := range []Sets{checkpoint.Sets, resumed.Sets(), resumed.Sets().WithoutPlaces()} {
		if sets.Pretrained != "Net by Somebody, Apache-2.0" || !strings.HasSuffix(sets.Attribution(),
			"trained on from Net by Somebody, Apache-2.0") {
			t.Errorf("it is told %q, and %q", sets.Pretrained, sets.Attribution())
		}
	}
}
