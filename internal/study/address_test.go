package study

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"testing"
)

// Networks are read and written as before graphs were: the addresses of the repository's studies,
// and of networks of one's own in each form, are those of then. A run that is finished is found
// again.
func TestAddressesAreThoseOfBefore(t *testing.T) {
	const own = `
networks:
  small:
  - conv2d: {filters: 2, kernel: [5, 3], stride: 2}
  - ReLU
  - flatten
  - dense: {units: 10}
  other:
    input: [3, 16, 12]
    layers:
    - Conv2D: {name: c, filters: 4, kernel: 3, padding: [1, 2]}
    - avgpool2d: {kernel: [2, 3], stride: 1}
    - maxpool2d: {kernel: 2}
    - flatten
    - dropout: {p: 0.5}
    - dense: {units: 3}
    - softmax
`
	addresses := func(path string) string {
		t.Helper()
		file, err := ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		runs, err := file.Runs()
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		for _, run := range runs {
			id, err := run.Spec.id("training", "test")
			if err != nil {
				t.Fatal(err)
			}
			_, _ = sum.Write([]byte(id + "\n"))
		}
		return hex.EncodeToString(sum.Sum(nil))[:16]
	}
	paths, err := filepath.Glob("../../experiments/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no studies: %v", err)
	}
	got := map[string]string{
		"small":         addresses(writeStudy(t, "base: small\ngrid: {l1: [0, 0.1]}\n"+own)),
		"other":         addresses(writeStudy(t, "base: other\ngrid: {l1: [0, 0.1]}\n"+own)),
		"other dropout": addresses(writeStudy(t, "base: other\ngrid: {dropout: [0, 0.1]}\n"+own)),
	}
	for _, path := range paths {
		if name := filepath.Base(path); name != "search.yaml" { // whose runs are proposed as it goes
			got[name] = addresses(path)
		}
	}
	// Written down at the commit before.
	want := map[string]string{
		"small": "d9e59437c9e68dc6", "other": "53752c05f5b5dcba", "other dropout": "1a5474330697b0cb",
		"dropout.yaml": "7c13383a17dc3de6", "e1-e2.yaml": "34206f1a9a757bb2",
		"penalties.yaml": "1ff45f3511c9675e",
		"pixels.yaml":    "8d87033d97a4f3ad", "recipe.yaml": "15ef6876e155e86f",
		"until-loss.yaml": "905bfb19ece9320b",
	}
	for name, id := range got {
		if want[name] != id {
			t.Errorf("the runs of %s have the addresses %s, had %q", name, id, want[name])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d studies, want %d", len(got), len(want))
	}
}
