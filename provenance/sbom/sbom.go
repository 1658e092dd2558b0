// Package sbom describes an ONNX classifier as a machine-learning bill of materials: CycloneDX
// 1.6, in JSON, with a model card.
//
// All of it is read from the model: its graph, its metadata and the training record in them
// (onnx.TrainingRecord). What they do not say is left out, and nothing is assumed for it. So there
// is no time and no serial number either: the same model makes the same bytes.
package sbom

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"

	"slipway/infer/port"
	"slipway/internal/version"
	"slipway/onnx"
)

const (
	// reference and dataReference name the components within the bill.
	reference, dataReference = "model", "training-data"
	// tool is the name of what wrote the bill.
	tool = "slipway"
	// mnistTraining is the training record's name of MNIST's training set.
	mnistTraining = "train"
)

// Of reads the model in a file and returns its bill of materials, indented JSON.
func Of(path string) ([]byte, error) {
	digests := make(map[string]string)
	model, err := onnx.ReadVerified(path, func(name string, content []byte) error {
		sum := sha256.Sum256(content)
		digests[name] = hex.EncodeToString(sum[:])
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := model.Check(); err != nil {
		return nil, err
	}
	record, recorded, err := model.TrainingRecord()
	if err != nil {
		return nil, err
	}
	b := &bill{model: model, report: onnx.Inspect(model), record: record, recorded: recorded}
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{
		Tools: &cyclonedx.ToolsChoice{Components: &[]cyclonedx.Component{{
			Type: cyclonedx.ComponentTypeApplication, Name: tool, Version: version.Module}}},
		Component: b.component(filepath.Base(path), digests),
	}
	if components := b.components(filepath.Base(path), digests); len(components) > 0 {
		bom.Components = &components
	}
	var text bytes.Buffer
	encoder := cyclonedx.NewBOMEncoder(&text, cyclonedx.BOMFileFormatJSON).SetPretty(true)
	if err := encoder.EncodeVersion(bom, cyclonedx.SpecVersion1_6); err != nil {
		return nil, fmt.Errorf("%s: write the bill of materials: %w", path, err)
	}
	return text.Bytes(), nil
}

// A bill is made of these.
type bill struct {
	model    *onnx.Model
	report   onnx.Report
	record   onnx.TrainingRecord
	recorded bool
}

// component is the model itself.
func (b *bill) component(name string, digests map[string]string) *cyclonedx.Component {
	c := &cyclonedx.Component{
		BOMRef: reference, Type: cyclonedx.ComponentTypeMachineLearningModel, Name: name,
		Description: b.report.DocString, Hashes: sha256Of(digests[name]),
		ModelCard: &cyclonedx.MLModelCard{ModelParameters: b.parameters(),
			QuantitativeAnalysis: b.performance()},
	}
	if b.record.Elsewhere {
		// The record's words are of the weights then, and not of what they were learned from.
		c.Licenses, c.Copyright = licences(b.record.Licence), b.record.Attribution
	}
	if properties := b.properties(); len(properties) > 0 {
		c.Properties = &properties
	}
	return c
}

// parameters tell the form of the model.
func (b *bill) parameters() *cyclonedx.MLModelParameters {
	p := &cyclonedx.MLModelParameters{ModelArchitecture: b.report.GraphName}
	if slices.ContainsFunc(b.report.Nodes,
		func(n onnx.NodeReport) bool { return n.Operator == "Conv" }) {
		p.ArchitectureFamily = "convolutional neural network"
	}
	if b.recorded {
		// What has a record is a classifier, learned from labelled images.
		p.Task = "image classification"
		p.Approach = &cyclonedx.MLModelParametersApproach{
			Type: cyclonedx.MLModelParametersApproachTypeSupervised}
	}
	if b.record.DataSet != "" {
		p.Datasets = &[]cyclonedx.MLDatasetChoice{{Ref: dataReference}}
	}
	p.Inputs = formats(b.report.Inputs, b.fed())
	p.Outputs = formats(b.report.Outputs, b.answers())
	return p
}

// formats describe inputs or outputs: name, type, shape, and what else is known where there is one.
func formats(values []onnx.Value, more string) *[]cyclonedx.MLInputOutputParameters {
	all := make([]cyclonedx.MLInputOutputParameters, len(values))
	for i, value := range values {
		all[i].Format = fmt.Sprintf("%s: %s %s", value.Name, value.TypeString(), value.ShapeString())
		if len(values) == 1 {
			all[i].Format += more
		}
	}
	return &all
}

// fed says how images are fed, as far as the record does.
func (b *bill) fed() string {
	if !b.recorded {
		return ""
	}
	text := ""
	if pixels, err := port.PixelsOf(b.record); err == nil {
		text = fmt.Sprintf("; a pixel x of 0…255 is fed as %s", pixels)
	}
	if b.record.Sizing != "" {
		text += "; pictures come to this size by " + b.record.Sizing
	}
	return text
}

// answers says what the scores stand for, as far as the record does.
func (b *bill) answers() string {
	if len(b.record.ClassLabels) == 0 {
		return ""
	}
	text := "; a score for each of the classes " + strings.Join(b.record.ClassLabels, ", ")
	if b.record.Probabilities == onnx.SigmoidOfScores {
		text += ", whose sigmoid is the probability of that class alone"
	}
	if b.record.MultiLabel() {
		text += "; an image has any number of them"
	}
	return text
}

// performance is what the record says that the trainer measured.
func (b *bill) performance() *cyclonedx.MLQuantitativeAnalysis {
	if b.record.TestImages == 0 {
		return nil
	}
	set := b.record.TestSet
	if set == "" && b.record.DataSet == mnistTraining {
		set = "MNIST's test set" // as the record defines
	}
	slice := strings.TrimSpace(fmt.Sprintf("%s (%d images)", set, b.record.TestImages))
	figure := "accuracy"
	if b.record.MultiLabel() {
		figure = "subset accuracy" // the share of images all of whose labels are told right
	}
	return &cyclonedx.MLQuantitativeAnalysis{PerformanceMetrics: &[]cyclonedx.MLPerformanceMetric{{
		Type: figure, Value: number(b.record.TestAccuracy), Slice: slice}}}
}

// components are what the model was made of, and the files that hold its tensors.
func (b *bill) components(own string, digests map[string]string) []cyclonedx.Component {
	var all []cyclonedx.Component
	if b.record.DataSet != "" {
		data := cyclonedx.Component{BOMRef: dataReference, Type: cyclonedx.ComponentTypeData,
			Name: b.record.DataSet,
			Data: &[]cyclonedx.ComponentData{{Type: cyclonedx.ComponentDataTypeDataset,
				Name: b.record.DataSet}}}
		if !b.record.Elsewhere {
			data.Description, data.Licenses = b.record.Attribution, licences(b.record.Licence)
		}
		if data.Description == "" && b.record.DataSet == mnistTraining && b.record.DataSHA256 == "" {
			data.Description = "MNIST's training set" // as the record defines
		}
		if b.record.DataSHA256 != "" {
			// A digest of contents, labels and sizes, which is no hash of one file.
			data.Properties = &[]cyclonedx.Property{property("data_sha256", b.record.DataSHA256)}
		}
		all = append(all, data)
	}
	for _, name := range slices.Sorted(maps.Keys(digests)) {
		if name != own {
			all = append(all, cyclonedx.Component{BOMRef: "file:" + name,
				Type: cyclonedx.ComponentTypeFile, Name: name, Hashes: sha256Of(digests[name])})
		}
	}
	return all
}

// properties are what CycloneDX has no field for.
func (b *bill) properties() []cyclonedx.Property {
	all := []cyclonedx.Property{property("onnx.ir_version", strconv.FormatInt(b.report.IRVersion, 10))}
	for _, opset := range b.report.Opsets {
		all = append(all, property("onnx.opset."+opset.Domain, strconv.FormatInt(opset.Version, 10)))
	}
	if b.report.Producer != "" {
		all = append(all, property("onnx.producer",
			strings.TrimSpace(b.report.Producer+" "+b.report.ProducerVersion)))
	}
	all = append(all, property("parameters", strconv.FormatInt(b.report.Parameters, 10)))
	if !b.report.MultiplyAddsPartial {
		all = append(all, property("multiply_adds", strconv.FormatInt(b.report.MultiplyAdds, 10)))
	}
	if b.recorded && !b.record.Elsewhere {
		all = append(all, property("epochs", strconv.Itoa(b.record.Epochs)),
			property("seed", strconv.FormatUint(b.record.Seed, 10)),
			property("training_loss", number(b.record.TrainingLoss)))
	}
	if b.record.TrainingPrecision != "" {
		all = append(all, property("training_precision", b.record.TrainingPrecision))
	}
	if b.record.TestSHA256 != "" {
		all = append(all, property("test_sha256", b.record.TestSHA256))
	}
	return all
}

func property(name, value string) cyclonedx.Property {
	return cyclonedx.Property{Name: tool + ":" + name, Value: value}
}

// number has the fewest digits that read back as the same value.
func number(value float64) string { return strconv.FormatFloat(value, 'g', -1, 64) }

func sha256Of(digest string) *[]cyclonedx.Hash {
	return &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: digest}}
}

// licences are a licence by its name: whether it is one of SPDX's identifiers is not known.
func licences(name string) *cyclonedx.Licenses {
	if name == "" {
		return nil
	}
	return &cyclonedx.Licenses{{License: &cyclonedx.License{Name: name}}}
}
