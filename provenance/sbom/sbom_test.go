package sbom_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"

	"slipway/onnx"
	"slipway/provenance/sbom"
)

func billOf(t *testing.T, path string) *cyclonedx.BOM {
	t.Helper()
	text, err := sbom.Of(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := sbom.Of(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, again) {
		t.Errorf("%s: two bills of one model differ", path)
	}
	bom := new(cyclonedx.BOM)
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(text), cyclonedx.BOMFileFormatJSON).
		Decode(bom); err != nil {
		t.Fatal(err)
	}
	if bom.SpecVersion != cyclonedx.SpecVersion1_6 || bom.Metadata.Timestamp != "" {
		t.Errorf("%s: version %v, time %q", path, bom.SpecVersion, bom.Metadata.Timestamp)
	}
	return bom
}

// The bill of a graph has the figures of its record.
func TestE1(t *testing.T) {
	path := filepath.Join("..", "..", "graphs", "e1.onnx")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	bom := billOf(t, path)
	model := bom.Metadata.Component
	if model.Name != "e1.onnx" || model.Type != cyclonedx.ComponentTypeMachineLearningModel ||
		(*model.Hashes)[0].Value != hex.EncodeToString(sum[:]) {
		t.Errorf("%+v", model)
	}
	parameters := model.ModelCard.ModelParameters
	if in := (*parameters.Inputs)[0].Format; in !=
		"image: float N×1×28×28; a pixel x of 0…255 is fed as x" {
		t.Errorf("the input is %q", in)
	}
	if out := (*parameters.Outputs)[0].Format; out !=
		"logits: float N×10; a score for each of the classes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9" {
		t.Errorf("the output is %q", out)
	}
	if parameters.ArchitectureFamily != "convolutional neural network" ||
		(*parameters.Datasets)[0].Ref != "training-data" {
		t.Errorf("%+v", parameters)
	}
	// The graph may have been trained anew: what it records counts.
	recorded, err := onnx.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	record, ok, err := recorded.TrainingRecord()
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	metric := (*model.ModelCard.QuantitativeAnalysis.PerformanceMetrics)[0]
	if metric.Type != "accuracy" || metric.Value != strconv.FormatFloat(record.TestAccuracy, 'g', -1,
		64) || metric.Slice != "MNIST's test set (10000 images)" {
		t.Errorf("%+v", metric)
	}
	data := (*bom.Components)[0]
	if data.Name != "train" || data.Description != "MNIST's training set" || data.Licenses != nil {
		t.Errorf("%+v", data)
	}
	properties := make(map[string]string)
	for _, p := range *model.Properties {
		properties[p.Name] = p.Value
	}
	if properties["slipway:parameters"] != "184586" ||
		properties["slipway:epochs"] != strconv.Itoa(record.Epochs) ||
		properties["slipway:onnx.opset.ai.onnx"] != "13" {
		t.Errorf("%v", properties)
	}
}

// What a record says of its data is told, of whom it is; what no record says is not.
func TestRecords(t *testing.T) {
	write := func(record *onnx.TrainingRecord) string {
		model, err := onnx.Read(filepath.Join("..", "..", "graphs", "e1.onnx"))
		if err != nil {
			t.Fatal(err)
		}
		if record == nil {
			err = model.SetMetadata(nil)
		} else {
			err = model.SetTrainingRecord(*record)
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "m.onnx")
		if err := model.Write(path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	digest := strings.Repeat("ab", 32)
	own := billOf(t, write(&onnx.TrainingRecord{DataSet: "birds", DataSHA256: digest,
		Licence: "CC BY 4.0", Attribution: "Birds, by a watcher", TestSet: "more birds", TestImages: 8,
		TestAccuracy: 0.5, ClassLabels: []string{"robin", "wren"}, Sizing: "resize 28×28 crop bilinear",
		TrainingPrecision: "tf32"}))
	if !slices.ContainsFunc(*own.Metadata.Component.Properties, func(p cyclonedx.Property) bool {
		return p.Name == "slipway:training_precision" && p.Value == "tf32"
	}) {
		t.Errorf("%+v", *own.Metadata.Component.Properties)
	}
	data := (*own.Components)[0]
	if data.Description != "Birds, by a watcher" || (*data.Licenses)[0].License.Name != "CC BY 4.0" ||
		(*data.Properties)[0].Value != digest || own.Metadata.Component.Licenses != nil {
		t.Errorf("%+v", data)
	}
	analysis := own.Metadata.Component.ModelCard.QuantitativeAnalysis
	if metrics := *analysis.PerformanceMetrics; len(metrics) !=
		1 || metrics[0].Slice != "more birds (8 images)" || metrics[0].Value != "0.5" {
		t.Errorf("%+v", metrics)
	}
	labels := billOf(t, write(&onnx.TrainingRecord{DataSet: "shapes", TestSet: "others", TestImages: 8,
		TestAccuracy: 0.5, ClassLabels: []string{"disc", "stripe"}, Probabilities: onnx.SigmoidOfScores,
		LabelsPerImage: onnx.AnyLabels})).Metadata.Component.ModelCard
	if metric := (*labels.QuantitativeAnalysis.PerformanceMetrics)[0]; metric.Type != "subset accuracy" {
		t.Errorf("%+v", metric)
	}
	if out := (*labels.ModelParameters.Outputs)[0].Format; !strings.HasSuffix(out,
		"; an image has any number of them") {
		t.Errorf("the output is %q", out)
	}
	elsewhere := billOf(t, write(&onnx.TrainingRecord{Elsewhere: true, DataSet: "ImageNet",
		Licence: "Apache-2.0", Attribution: "somebody"}))
	model := elsewhere.Metadata.Component
	if (*model.Licenses)[0].License.Name != "Apache-2.0" ||
		model.ModelCard.QuantitativeAnalysis != nil ||
		(*elsewhere.Components)[0].Licenses != nil {
		t.Errorf("%+v", model)
	}
	unknown := billOf(t, write(nil))
	card := unknown.Metadata.Component.ModelCard
	if unknown.Components != nil || card.QuantitativeAnalysis != nil ||
		card.ModelParameters.Approach != nil || card.ModelParameters.Task != "" {
		t.Errorf("%+v", card)
	}
	for path, says := range map[string]string{
		filepath.Join("..", "..", "infer", "testdata", "truncated.onnx"): "not a whole ONNX model",
		filepath.Join("..", "..", "infer", "testdata", "nothing.onnx"):   "no such file",
	} {
		if _, err := sbom.Of(path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
