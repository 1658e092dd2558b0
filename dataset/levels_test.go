package dataset

import (
	"errors"
	"math"
	"slices"
	"testing"
)

// Each channel has its own mean and deviation, those of numpy's mean and std.
func TestLevels(t *testing.T) {
	levels, err := NewLevels(2)
	if err != nil {
		t.Fatal(err)
	}
	if means, deviations := levels.MeansAndDeviations(); !slices.Equal(means, []float64{0, 0}) ||
		!slices.Equal(deviations, means) {
		t.Errorf("of no image: %v, %v", means, deviations)
	}
	// The second channel is constant. numpy: [0, 10, 20, 30, 40, 50].std() = 17.0782512765993317
	for _, image := range [][]uint8{{0, 10, 20, 51, 51, 51}, {30, 40, 50, 51, 51, 51}} {
		if err := levels.Add(image); err != nil {
			t.Fatal(err)
		}
	}
	means, deviations := levels.MeansAndDeviations()
	if math.Abs(means[0]*255-25) > 1e-12 || means[1] != 0.2 {
		t.Errorf("means %v", means)
	}
	if math.Abs(deviations[0]*255-17.0782512765993317) > 1e-12 || deviations[1] != 0 {
		t.Errorf("deviations %v", deviations)
	}
}

// The order in which images are added does not change a bit.
func TestLevelsDoNotDependOnTheOrder(t *testing.T) {
	images := make([][]uint8, 50)
	for i := range images {
		images[i] = make([]uint8, 3*7)
		for j := range images[i] {
			images[i][j] = uint8(i*i*j + 31*i)
		}
	}
	measure := func() ([]float64, []float64) {
		levels, err := NewLevels(3)
		if err != nil {
			t.Fatal(err)
		}
		for _, image := range images {
			if err := levels.Add(image); err != nil {
				t.Fatal(err)
			}
		}
		return levels.MeansAndDeviations()
	}
	means, deviations := measure()
	slices.Reverse(images)
	if m, d := measure(); !slices.Equal(m, means) || !slices.Equal(d, deviations) {
		t.Errorf("%v, %v; in the other order %v, %v", means, deviations, m, d)
	}
}

func TestLevelsRefuse(t *testing.T) {
	if _, err := NewLevels(0); !errors.Is(err, ErrArgument) {
		t.Errorf("no channel: %v", err)
	}
	levels, err := NewLevels(3)
	if err != nil {
		t.Fatal(err)
	}
	if err := levels.Add(make([]uint8, 10)); !errors.Is(err, ErrSize) {
		t.Errorf("10 bytes of 3 channels: %v", err)
	}
	if means, _ := levels.MeansAndDeviations(); means[0] != 0 {
		t.Errorf("a refused image is counted: %v", means)
	}
}
