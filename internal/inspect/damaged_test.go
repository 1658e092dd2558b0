package inspect_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"slipway/internal/inspect"
)

// damagedVariable says how many damaged files are tried.
const damagedVariable = "SLIPWAY_DAMAGED_MODELS"

// No damaged model ends inspect, which runs what is valid, in a panic: it is described,
// or an error. SLIPWAY_DAMAGED_MODELS tries more of them.
func TestDamagedModelsAreDescribed(t *testing.T) {
	count := 60
	if text := os.Getenv(damagedVariable); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s: %v", damagedVariable, err)
		}
	}
	var described, refused int
	for _, path := range []string{"../../infer/testdata/nhwc.onnx",
		"../../infer/testdata/small.onnx"} {
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for seed := range count / 2 {
			source := rand.New(rand.NewPCG(uint64(seed), 17))
			damaged := slices.Clone(good)
			for range 1 + source.IntN(3) {
				// Structure lies at the ends of the file as a rule, weights in between.
				at := source.IntN(min(2000, len(damaged)))
				if source.IntN(2) == 0 {
					at = len(damaged) - 1 - at
				}
				damaged[at] ^= 1 << source.IntN(8)
			}
			i, err := inspect.Bytes(t.Context(), "damaged.onnx", damaged)
			if err != nil {
				refused++
				continue
			}
			described++
			if i.Text() == "" || i.Report.Problem == "" && len(i.Runtimes) == 0 {
				t.Errorf("%s, seed %d: nothing is said", path, seed)
			}
		}
	}
	t.Logf("%d described, %d errors", described, refused)
	if described == 0 {
		t.Error("nothing could be described")
	}
}
