package onnx_test

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/onnx"
	"slipway/onnx/convert"
)

// A record has the factor and the summand of each channel in the keys of the one that is
// for all: who reads a single number there takes a list for none.
func TestARecordOfChannels(t *testing.T) {
	model := tinyModel(t)
	want := onnx.TrainingRecord{DataSet: "mine", PixelScales: []float64{0.1, 2, 1.0 / 3},
		PixelOffsets: []float64{0, -1, 1e-9}}
	if err := model.SetTrainingRecord(want); err != nil {
		t.Fatal(err)
	}
	metadata := model.Metadata()
	if s, o := metadata["slipway.pixel_scale"],
		metadata["slipway.pixel_offset"]; s != "0.1,2,0.3333333333333333" || o != "0,-1,1e-09" {
		t.Errorf("scale %q, offset %q", s, o)
	}
	got, ok, err := model.TrainingRecord()
	if err != nil || !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("read back %+v, %v; want %+v", got, err, want)
	}
	// One for all takes their place, and the other way round.
	if err := model.SetTrainingRecord(onnx.TrainingRecord{DataSet: "mine",
		PixelScale: 0.5}); err != nil {
		t.Fatal(err)
	}
	if got, _, err := model.TrainingRecord(); err != nil || got.PixelScale != 0.5 ||
		got.PixelScales != nil || got.PixelOffsets != nil {
		t.Errorf("%+v, %v", got, err)
	}
	var record onnx.TrainingRecord
	if err := record.SetPixelTransform(want.PixelScales, want.PixelOffsets); err != nil ||
		!reflect.DeepEqual(record.PixelScales, want.PixelScales) {
		t.Errorf("%+v, %v", record, err)
	}
	if err := record.SetPixelTransform([]float64{0.5}, []float64{-1}); err != nil ||
		record.PixelScales != nil || record.PixelScale != 0.5 {
		t.Errorf("%+v, %v", record, err)
	}
	if err := record.SetPixelTransform([]float64{0.5}, nil); err == nil || record.PixelScale != 0.5 {
		t.Errorf("%+v, %v", record, err)
	}
}

func TestBadRecordsOfChannels(t *testing.T) {
	for name, test := range map[string]struct {
		record onnx.TrainingRecord
		want   string
	}{
		"fewer summands": {onnx.TrainingRecord{PixelScales: []float64{1, 2},
			PixelOffsets: []float64{1}}, "by 2 numbers and moved by 1"},
		"no factor": {onnx.TrainingRecord{PixelOffsets: []float64{1, 2, 3}},
			"by 0 numbers and moved by 3"},
		"of all and of each": {onnx.TrainingRecord{PixelScale: 1, PixelScales: []float64{1, 2},
			PixelOffsets: []float64{1, 2}}, "only one of both"},
		"a factor of 0": {onnx.TrainingRecord{PixelScales: []float64{1, 0},
			PixelOffsets: []float64{1, 2}}, "the scale not 0"},
		"no number": {onnx.TrainingRecord{PixelScales: []float64{1, 1},
			PixelOffsets: []float64{1, math.NaN()}}, "must be finite"},
		"endless": {onnx.TrainingRecord{PixelScales: []float64{1, math.Inf(1)},
			PixelOffsets: []float64{1, 1}}, "must be finite"},
	} {
		if err := tinyModel(t).SetTrainingRecord(test.record); err == nil ||
			!strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, test := range map[string]struct{ scale, offset, want string }{
		"fewer summands": {"1,2,3", "1,2", "by 3 numbers and moved by 2"},
		"one summand":    {"1,2,3", "1", "by 3 numbers and moved by 1"},
		"one factor":     {"1", "1,2", "by 1 numbers and moved by 2"},
		"a comma more":   {"1,2,", "1,2", `slipway.pixel_scale is "1,2,"`},
		"words":          {"1,2", "1,two", `slipway.pixel_offset is "1,two"`},
		"an empty text":  {"", "1,2", `slipway.pixel_scale is ""`},
		"a factor of 0":  {"1,0", "1,2", "the scale not 0"},
		"0 for all":      {"0", "0", "the scale not 0"},
	} {
		model := tinyModel(t)
		metadata := model.Metadata()
		metadata["slipway.pixel_scale"], metadata["slipway.pixel_offset"] = test.scale, test.offset
		if err := model.SetMetadata(metadata); err != nil {
			t.Fatal(err)
		}
		if _, _, err := model.TrainingRecord(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A network of grey images cannot be recorded to be fed in colour.
func TestARecordOfOtherChannelsThanTheNetworks(t *testing.T) {
	network, err := builder.New("grey", builder.Shape{1, 6, 6}, builder.Flatten{},
		builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	record := onnx.TrainingRecord{PixelScales: []float64{1, 1, 1}, PixelOffsets: []float64{0, 0, 0}}
	if _, err := convert.FromNetwork(network, network.InitialWeights(1), record,
		convert.Options{}); err == nil || !strings.Contains(err.Error(), "scaled by 3 numbers") {
		t.Error(err)
	}
}
