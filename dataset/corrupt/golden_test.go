package corrupt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"slipway/dataset"
	"slipway/internal/safetensors"
	"slipway/scripts/golden/goldentest"
)

// goldenImages reads what scripts/golden/corruptions.py wrote: images, and each of
// them under corruptions, as SET/NAME:STRENGTH/VARIANT.
func goldenImages(t *testing.T) *safetensors.File {
	t.Helper()
	file, err := goldentest.ReadPacked("testdata/images.safetensors.gz")
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func goldenSet(t *testing.T, file *safetensors.File, name string) *dataset.Set {
	t.Helper()
	tensor, ok := file.Tensor(name)
	if !ok {
		t.Fatalf("there is no %q", name)
	}
	s := tensor.Shape
	set, err := dataset.NewSet(name, tensor.Data, make([]int32, s[0]), s[1], s[2], s[3], 1)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// furthest is the largest difference of two images, in levels, and the share of
// bytes that differ at all.
func furthest(a, b []uint8) (levels int, share float64) {
	for i := range a {
		d := max(a[i], b[i]) - min(a[i], b[i])
		levels = max(levels, int(d))
		share += float64(min(d, 1)) / float64(len(a))
	}
	return levels, share
}

// maxShare is how many bytes may be a level off. A shear by fifths of a pixel makes
// halves, which fall to either side.
const maxShare = 0.03

// TestImagesAreSciPys compares with SciPy and scikit-image: to a level, which the
// rounding of a half explains, and equal nearly everywhere. Where chance takes a
// side, the image must be that of one of the sides, and over many draws of each of them.
func TestImagesAreSciPys(t *testing.T) {
	file := goldenImages(t)
	variants := map[string][]safetensors.Tensor{} // by SET/NAME:STRENGTH
	for _, tensor := range file.Tensors {
		if parts := strings.Split(tensor.Name, "/"); len(parts) == 3 {
			key := parts[0] + "/" + parts[1]
			variants[key] = append(variants[key], tensor)
		}
	}
	if len(variants) != 10*(Strengths+1) {
		t.Fatalf("%d corruptions in the file", len(variants))
	}
	for key, golden := range variants {
		setName, text, _ := strings.Cut(key, "/")
		set := goldenSet(t, file, setName)
		c, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(key, func(t *testing.T) {
			size := size{set.Channels, set.Height, set.Width}
			if c.Name == "motion-blur" { // 64 variants; the file has some
				n := int(math.Round(2*size.length(float64(2*c.Strength+1)))) / 2
				for _, variant := range golden {
					direction, err := strconv.Atoi(variant.Name[strings.LastIndex(variant.Name, "/")+1:])
					if err != nil {
						t.Fatal(err)
					}
					got := make([]uint8, len(set.Images))
					for i := range set.Len() {
						motionBlur(got[i*size.total():][:size.total()], set.Image(i), size, n, direction)
					}
					if levels, share := furthest(got, variant.Data); levels > 1 || share > maxShare {
						t.Errorf("direction %d: up to %d levels off, %.2g of the bytes differ", direction, levels,
							share)
					}
				}
				return
			}
			seen := map[string]bool{}
			for seed := range uint64(20 * len(golden)) {
				c.Seed = seed
				got, err := c.Apply(set)
				if err != nil {
					t.Fatal(err)
				}
				for i := range set.Len() {
					best := ""
					for _, variant := range golden {
						if levels,
							share := furthest(got.Image(i), variant.Data[i*size.total():][:size.total()]); levels <= 1 &&
							share <= maxShare {
							best = variant.Name
						}
					}
					if best == "" {
						t.Fatalf("seed %d, image %d is none of SciPy's", seed, i)
					}
					seen[best] = true
				}
				if len(golden) == 1 {
					break
				}
			}
			if len(seen) != len(golden) {
				t.Errorf("%d of %d sides were taken: %v", len(seen), len(golden), seen)
			}
		})
	}
}

// TestNoiseHasTheStatistics compares the mean and the standard deviation of many
// draws with those of scikit-image's and NumPy's draws. Five standard errors are
// passed by chance once in two million.
func TestNoiseHasTheStatistics(t *testing.T) {
	data, err := os.ReadFile("testdata/noise.json")
	if err != nil {
		t.Fatal(err)
	}
	var facts []struct {
		Name      string
		Strength  int
		Grey      uint8
		N         int
		Mean, Std float64
	}
	if err := json.Unmarshal(data, &facts); err != nil {
		t.Fatal(err)
	}
	if len(facts) != 3*5*Strengths+Strengths {
		t.Fatalf("%d facts", len(facts))
	}
	for _, fact := range facts {
		c := Corruption{Name: fact.Name, Strength: fact.Strength, Seed: 3}
		t.Run(fmt.Sprintf("%v of %d", c, fact.Grey), func(t *testing.T) {
			n := 100
			if c.Name == "spatter" {
				n = 300
			}
			set, err := dataset.NewSet("grey", bytes.Repeat([]uint8{fact.Grey}, n*784), make([]int32, n), 1,
				28, 28, 1)
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Apply(set)
			if err != nil {
				t.Fatal(err)
			}
			var draws []float64
			if c.Name == "spatter" { // neighbours depend on each other, images do not
				for i := range got.Len() {
					sum := 0.
					for _, x := range got.Image(i) {
						sum += float64(x)
					}
					draws = append(draws, sum/784)
				}
			} else {
				for _, x := range got.Images {
					draws = append(draws, float64(x))
				}
			}
			mean, std := moments(draws)
			ours, theirs := fact.Std/math.Sqrt(float64(len(draws))), fact.Std/math.Sqrt(float64(fact.N))
			if off := math.Abs(mean - fact.Mean); off > 5*math.Hypot(ours, theirs)+1e-9 {
				t.Errorf("mean %.4f, theirs %.4f: %.1f standard errors apart", mean, fact.Mean,
					off/math.Hypot(ours, theirs))
			}
			// The error of a standard deviation depends on the fourth moment; 5 % is more than five of
			// them, but for spatter's few images.
			tolerance := 0.05
			if c.Name == "spatter" {
				tolerance = 0.3
			}
			if math.Abs(std-fact.Std) > tolerance*fact.Std+1e-9 {
				t.Errorf("standard deviation %.4f, theirs %.4f", std, fact.Std)
			}
		})
	}
}

func moments(values []float64) (mean, std float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		std += (v - mean) * (v - mean) / float64(len(values))
	}
	return mean, math.Sqrt(std)
}

// TestNormalIsNormal looks at the shape that two moments do not show: the share
// of draws beyond one, two and three deviations.
func TestNormalIsNormal(t *testing.T) {
	const draws, sigma = 1_000_000, 1000
	d := normal(sigma)
	source := rand.New(rand.NewPCG(1, 2))
	var beyond [4]float64
	for range draws {
		x := math.Abs(float64(d.draw(source)))
		for k := 1; k < len(beyond); k++ {
			if x > float64(k*sigma) {
				beyond[k]++
			}
		}
	}
	for k, want := range []float64{0, 0.31731, 0.04550, 0.00270} {
		if got := beyond[k] / draws; math.Abs(got-want) > 5*math.Sqrt(want/draws)+1e-3*want {
			t.Errorf("beyond %d deviations lie %.5f of the draws, want %.5f", k, got, want)
		}
	}
}
