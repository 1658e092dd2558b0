package tracking

import (
	"errors"
	"testing"

	"slipway/dataset"
	"slipway/train"
)

// Two runs on images with any number of labels are not compared.
func TestCompareRefusesSeveralLabels(t *testing.T) {
	test := dataset.Info{Name: "own", SHA256: "00", MultiLabel: true}
	record := &Record{Name: "a", Sets: train.Sets{Test: &test}}
	if _, err := SameTest(record, record); !errors.Is(err, dataset.ErrMultiLabel) {
		t.Errorf("%v", err)
	}
}
