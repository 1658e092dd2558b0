package onnx_test

import (
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/onnx"
)

// What is just inside of a record's limits is written and read back; what is just outside
// is refused, and leaves the model's record as it was.
func TestTheLimitsOfARecord(t *testing.T) {
	good := onnx.TrainingRecord{DataSet: "mine", PixelScale: 1}
	with := func(change func(r *onnx.TrainingRecord)) onnx.TrainingRecord {
		r := good
		change(&r)
		return r
	}
	for name, test := range map[string]struct {
		record onnx.TrainingRecord
		want   string
	}{
		"nothing measured":    {good, ""},
		"all right":           {with(func(r *onnx.TrainingRecord) { r.TestAccuracy, r.TestImages, r.Epochs = 1, 1, 1 }), ""},
		"a negative scale":    {with(func(r *onnx.TrainingRecord) { r.PixelScale, r.PixelOffset = -1, 255 }), ""},
		"below 0":             {with(func(r *onnx.TrainingRecord) { r.TestAccuracy = -1e-9 }), "a share, 0…1"},
		"above 1":             {with(func(r *onnx.TrainingRecord) { r.TestAccuracy = 1.0000001 }), "a share, 0…1"},
		"no number":           {with(func(r *onnx.TrainingRecord) { r.TestAccuracy = math.NaN() }), "a share, 0…1"},
		"negative images":     {with(func(r *onnx.TrainingRecord) { r.TestImages = -1 }), "test images is -1"},
		"negative epochs":     {with(func(r *onnx.TrainingRecord) { r.Epochs = -1 }), "epochs is -1"},
		"a loss that is none": {with(func(r *onnx.TrainingRecord) { r.TrainingLoss = math.NaN() }), "a run that diverged"},
		"an infinite loss":    {with(func(r *onnx.TrainingRecord) { r.TrainingLoss = math.Inf(1) }), "a run that diverged"},
		"an infinite scale":   {with(func(r *onnx.TrainingRecord) { r.PixelScale = math.Inf(-1) }), "must be finite"},
		"an infinite offset":  {with(func(r *onnx.TrainingRecord) { r.PixelOffset = math.Inf(1) }), "must be finite"},
	} {
		model := tinyModel(t)
		before := model.Metadata()
		err := model.SetTrainingRecord(test.record)
		if test.want == "" {
			if got, ok, readErr := model.TrainingRecord(); err != nil || readErr != nil || !ok || got.TestAccuracy != test.record.TestAccuracy ||
				got.PixelScale != test.record.PixelScale {
				t.Errorf("%s: %v, %v; read back %+v", name, err, readErr, got)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if after := model.Metadata(); len(after) != len(before) || after["slipway.seed"] != before["slipway.seed"] {
			t.Errorf("%s: refused, but the record is changed", name)
		}
	}
}

// A record's texts and names go when the next record has none; what is not a record's stays.
func TestARecordTakesThePlaceOfAnother(t *testing.T) {
	model := tinyModel(t)
	metadata := model.Metadata()
	metadata["mine"] = "kept"
	if err := model.SetMetadata(metadata); err != nil {
		t.Fatal(err)
	}
	full := onnx.TrainingRecord{DataSet: "a", DataSHA256: "1", Attribution: "b", Licence: "c", TestSet: "d", TestSHA256: "2", ClassLabels: []string{"x", "y", "z"}}
	if full.IsZero() || !(onnx.TrainingRecord{}).IsZero() {
		t.Error("IsZero is of another record")
	}
	for _, record := range []onnx.TrainingRecord{full, {DataSet: "e"}} {
		if err := model.SetTrainingRecord(record); err != nil {
			t.Fatal(err)
		}
		got, ok, err := model.TrainingRecord()
		if err != nil || !ok || got.DataSet != record.DataSet || got.Licence != record.Licence || got.TestSHA256 != record.TestSHA256 ||
			len(got.ClassLabels) != len(record.ClassLabels) || model.Metadata()["mine"] != "kept" {
			t.Errorf("%+v, %v; want %+v", got, err, record)
		}
	}
	for key, want := range map[string]string{"slipway.record": `the version "2"`, "slipway.test_accuracy": "slipway.test_accuracy is missing"} {
		metadata := model.Metadata()
		if delete(metadata, key); key == "slipway.record" {
			metadata[key] = "2"
		}
		damaged := tinyModel(t)
		if err := damaged.SetMetadata(metadata); err != nil {
			t.Fatal(err)
		}
		if _, _, err := damaged.TrainingRecord(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without %s: %v, want %q", key, err, want)
		}
	}
}

// The oldest and the newest versions that are said to be read are.
func TestTheVersionsThatAreRead(t *testing.T) {
	for _, version := range []int64{3, 13} {
		model := tinyModel(t)
		model.Proto.IrVersion = proto.Int64(version)
		if err := model.Check(); err != nil {
			t.Errorf("IR version %d: %v", version, err)
		}
	}
	model := tinyModel(t)
	model.Proto.OpsetImport[0].Version = proto.Int64(27)
	if err := model.Check(); err != nil && strings.Contains(err.Error(), "newer than") {
		t.Errorf("opset 27: %v", err)
	}
}
