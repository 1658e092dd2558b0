package export

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"slipway/dataset"
	"slipway/internal/atomicfile"
	"slipway/onnx"
	"slipway/train"
)

// A Precision is what a variant's weights are stored in.
type Precision string

// The precisions. Whatever the weights are, images and scores are not made of them.
const (
	Float32 Precision = "float32" // as they are
	Float16 Precision = "float16" // rounded, computed with in float32; see onnx.ToFloat16
	Int8    Precision = "int8"    // static quantization in QDQ form; see onnx.Quantize
)

// Precisions lists them all.
func Precisions() []string { return []string{string(Float32), string(Float16), string(Int8)} }

// DefaultCalibration is how many training images the ranges of int8 are measured on.
const DefaultCalibration = 512

// DefaultMaxLoss is the accuracy that a variant may lose on the test images, 0.1
// points.
const DefaultMaxLoss = 0.001

// VariantOptions say what to make of a model. The zero value is its copy.
type VariantOptions struct {
	// Precision is Float32 if empty.
	Precision Precision
	// Form is how images go in and scores come out.
	Form onnx.Form
	// Calibration is the number of training images for Int8, DefaultCalibration if
	// zero, and Seed draws them.
	Calibration int
	Seed        uint64
	// Test is the set that the variant is held against its source on, and Images the one
	// that Calibration images are drawn from. Where they are nil, the model's training
	// record must lead to sets that Open has a word for.
	Test, Images *dataset.Set
	// Pixels says how pixels are fed to a model without a training record, as
	// train.Config.Pixels does; as they are if empty.
	Pixels string
	// MaxLoss is the accuracy that Float16 and Int8 may lose, 0…1; DefaultMaxLoss if
	// zero.
	MaxLoss float64
	// Messages takes a line for each thing done, and may be nil.
	Messages io.Writer
}

func (o VariantOptions) say(format string, args ...any) {
	if o.Messages != nil {
		fmt.Fprintf(o.Messages, format+"\n", args...)
	}
}

func (o VariantOptions) withDefaults() VariantOptions {
	if o.Precision == "" {
		o.Precision = Float32
	}
	if o.Calibration == 0 {
		o.Calibration = DefaultCalibration
	}
	if o.MaxLoss == 0 {
		o.MaxLoss = DefaultMaxLoss
	}
	return o
}

// parts names what is not as in the source.
func (o VariantOptions) parts() []string {
	var parts []string
	if o.Precision != "" && o.Precision != Float32 {
		parts = append(parts, string(o.Precision))
	}
	switch batch := o.Form.Batch; {
	case batch == onnx.OpenBatch:
		parts = append(parts, "open batch")
	case batch != 0:
		parts = append(parts, fmt.Sprintf("batch %d", batch))
	}
	if o.Form.Softmax {
		parts = append(parts, "softmax")
	}
	if o.Form.Bytes {
		parts = append(parts, "uint8 input")
	}
	return parts
}

// Name says in words what differs from the source, such as "int8, batch 1"; it is
// empty for a copy.
func (o VariantOptions) Name() string { return strings.Join(o.parts(), ", ") }

// File returns the file beside the source's that a variant is written to where no
// other name is given: e1-int8-batch1.onnx.
func (o VariantOptions) File(source string) string {
	name := strings.TrimSuffix(source, ".onnx")
	for _, part := range o.parts() {
		part = strings.TrimSuffix(part, " input")
		name += "-" + strings.ReplaceAll(part, " ", "")
	}
	return name + ".onnx"
}

// ErrSigmoid is of a softmax that is asked of scores whose classes stand alone.
var ErrSigmoid = errors.New(
	"a softmax makes no probabilities of this network's scores, since it was " +
		"trained with the binary loss; take the sigmoid of each score, as infer does, and leave -softmax out")

// Variant makes a variant of the model in the file source and writes it to output,
// once onnxruntime has answered with it on the test images as with the source, within
// the limits of its precision.
func Variant(ctx context.Context, source, output string, options VariantOptions) error {
	options = options.withDefaults()
	if options.Name() == "" {
		return fmt.Errorf("nothing is to be different of %s", source)
	}
	if sameFile(source, output) {
		return fmt.Errorf(
			"%s would be written in place of the model that it is made of; name another file", output)
	}
	if err := mayReplace(output); err != nil {
		return err
	}
	from, err := loadSource(source, options.Pixels)
	if err != nil {
		return err
	}
	if options.Form.Softmax && from.record.Probabilities == onnx.SigmoidOfScores {
		return fmt.Errorf("%s: %w", source, ErrSigmoid)
	}
	for _, note := range from.model.Notes() {
		options.say("note: %s: %s", source, note)
	}
	options.Form.PixelScale, options.Form.PixelOffset = from.record.PixelScale, from.record.PixelOffset
	options.Form.PixelScales, options.Form.PixelOffsets = from.record.PixelScales,
		from.record.PixelOffsets
	variant, err := makeVariant(ctx, from, options)
	if err != nil {
		return err
	}
	encoded, err := onnx.Encode(variant)
	if err != nil {
		return err
	}
	options.say("%s → %s (%s): %d bytes, %.1f %% of %d", source, output, options.Name(), len(encoded),
		100*float64(len(encoded))/float64(from.bytes), from.bytes)
	if err := verifyVariant(ctx, from, variant, options); err != nil {
		return fmt.Errorf("%s: %w; %s was not written", options.Name(), err, output)
	}
	if err := atomicfile.WriteBytes(output, encoded); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	options.say("wrote %s", output)
	return nil
}

// sameFile reports whether both are there and one file.
func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// source is what a variant is made of.
type source struct {
	model  *onnx.Model
	record onnx.TrainingRecord // of the pixel rule alone where the model has none
	bytes  int
	digest string
}

func loadSource(path, pixels string) (source, error) {
	model, err := onnx.Read(path)
	if err != nil {
		return source{}, err
	}
	if err := model.Check(); err != nil {
		return source{}, err
	}
	if variant, ok := model.VariantRecord(); ok {
		return source{}, fmt.Errorf("%s is a variant itself (%s); give the model that it was made of",
			path, variant.Variant)
	}
	record, recorded, err := model.TrainingRecord()
	switch {
	case err != nil:
		return source{}, err
	case recorded && pixels != "":
		return source{}, fmt.Errorf("%s records how its pixels are fed; leave -pixels out", path)
	case pixels != "":
		if err := setPixels(&record, train.Config{Pixels: pixels}); err != nil {
			return source{}, err
		}
	}
	file, err := os.ReadFile(path)
	if err != nil {
		return source{}, err
	}
	sum := sha256.Sum256(file)
	return source{model: model, record: record, bytes: len(file),
		digest: hex.EncodeToString(sum[:])}, nil
}

// makeVariant makes the model. The same source and options give the same bytes.
func makeVariant(ctx context.Context, from source, options VariantOptions) (*onnx.Model, error) {
	variant, record := from.model, onnx.VariantRecord{Variant: options.Name(),
		SourceSHA256: from.digest}
	switch options.Precision {
	case Float16:
		var err error
		if variant, err = onnx.ToFloat16(variant); err != nil {
			return nil, err
		}
	case Int8:
		ranges, said, err := calibrate(ctx, from, options)
		if err != nil {
			return nil, fmt.Errorf("calibrate: %w", err)
		}
		options.say("calibrated on %s", said)
		record.Calibration = said
		if variant, err = onnx.Quantize(variant, ranges); err != nil {
			return nil, err
		}
	}
	variant, err := onnx.Reform(variant, options.Form)
	if err != nil {
		return nil, err
	}
	if options.Precision != Float32 {
		if err := variant.ForgetAccuracy(); err != nil {
			return nil, err
		}
	}
	return variant, variant.SetVariantRecord(record)
}
