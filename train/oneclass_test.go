package train

import (
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
)

// A set of one class is nothing to train on, and may be tested on.
func TestOneClass(t *testing.T) {
	network, err := builder.New("tiny", builder.Shape{1, 2, 2}, builder.Flatten{},
		builder.Dense{Units: 2})
	if err != nil {
		t.Fatal(err)
	}
	one, err := dataset.NewSet("one", make([]uint8, 16), make([]int32, 4), 1, 2, 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(network, one, Config{Epochs: 1}, nil); err == nil ||
		!strings.Contains(err.Error(), "the images of one are all of one class") {
		t.Errorf("to train on: %v", err)
	}
	two, err := dataset.NewSet("two", make([]uint8, 16), []int32{0, 1, 0, 1}, 1, 2, 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	trainer, err := New(network, two, Config{Epochs: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	if err := trainer.TestOn(one); err != nil {
		t.Errorf("to test on: %v", err)
	}
}
