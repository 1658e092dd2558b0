package onnx

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"slipway/internal/numberlist"
	"slipway/onnx/internal/message"
)

// TrainingRecord says how a model came to be and what it answers. It is kept in
// the model's metadata under the keys slipway.*, one value each, so that any
// viewer shows it.
type TrainingRecord struct {
	// DataSet is the data that the model was trained on, by its name: "train" is
	// MNIST's training set.
	DataSet string
	// DataSHA256 is the digest of that set, Attribution says which published set it is
	// and by whom, Licence what may be done with it. Each is empty where it is not
	// known, and where DataSet is train.
	DataSHA256, Attribution, Licence string
	// Elsewhere says that the weights were not learned by Slipway: the accuracy, the loss, the
	// epochs and the seed are not known, and not recorded.
	Elsewhere bool
	// TestSet is the set that TestAccuracy was measured on, by its name, and TestSHA256
	// its digest. Both are empty for MNIST's test set, t10k, where DataSet is train.
	TestSet, TestSHA256 string
	// TestAccuracy is the share of test images labelled correctly by the
	// trainer, 0…1.
	TestAccuracy float64
	// TestImages is the number of images that TestAccuracy was measured on; 0 if
	// it was not.
	TestImages int
	// TrainingLoss is the mean loss of the epoch that the weights are of, the last one
	// unless early stopping went back to a better one.
	TrainingLoss float64
	// Epochs is the number of epochs trained.
	Epochs int
	// Seed is the seed of the run.
	Seed uint64
	// Sizing says how pictures come to the size of the input, such as
	// "resize 224×224 crop bilinear" (picture.Sizing); empty where they had it.
	Sizing string
	// Probabilities says what makes probabilities of the scores: empty for a softmax, or
	// SigmoidOfScores.
	Probabilities string
	// LabelsPerImage says how many classes an image is of: empty for one, or AnyLabels. TestAccuracy
	// is the share of images all of whose labels are right then, and recorded as the subset accuracy.
	LabelsPerImage string
	// TrainingPrecision is what products of the training were computed in where that is not float32:
	// "tf32", or "bf16", in which a GPU kept activations, too. The weights are float32 all the same,
	// and so is TestAccuracy's arithmetic.
	TrainingPrecision string
	// ClassLabels names the classes in the order of the scores.
	ClassLabels []string
	// PixelScale and PixelOffset turn a pixel of 0…255 into an input:
	// pixel·PixelScale + PixelOffset. A scale of 0 stands for 1: with both zero
	// the pixels are fed as they are.
	PixelScale, PixelOffset float64
	// PixelScales and PixelOffsets are those of each channel, in the order of the
	// channels, where they are not the same for all; nil otherwise. PixelScale and
	// PixelOffset are zero then.
	PixelScales, PixelOffsets []float64
}

// SigmoidOfScores in TrainingRecord.Probabilities says that the sigmoid of each score is the
// probability of its class alone, whatever the others': the network was trained with the binary
// loss.
const SigmoidOfScores = "sigmoid"

// AnyLabels in TrainingRecord.LabelsPerImage says that an image has any number of labels, none too:
// those whose probability, by SigmoidOfScores, is above 0.5.
const AnyLabels = "any"

// MultiLabel reports whether an image has any number of labels.
func (r TrainingRecord) MultiLabel() bool { return r.LabelsPerImage == AnyLabels }

// recordVersion is the value of the key that says that there is a record, and in
// which form.
const recordVersion = "1"

// RecordPrefix begins the metadata keys of a TrainingRecord, and of what else Slipway keeps there.
const RecordPrefix = "slipway."

const (
	keyRecord       = "slipway.record"
	keyDataSet      = "slipway.data_set"
	keyTestAccuracy = "slipway.test_accuracy"
	keyTestImages   = "slipway.test_images"
	keyTrainingLoss = "slipway.training_loss"
	keyEpochs       = "slipway.epochs"
	keySeed         = "slipway.seed"
	keyClassLabels  = "slipway.class_labels"
	keyPixelScale   = "slipway.pixel_scale"
	keyPixelOffset  = "slipway.pixel_offset"
	keyDataSHA256   = "slipway.data_sha256"
	keyAttribution  = "slipway.attribution"
	keyLicence      = "slipway.licence"
	keyTestSet      = "slipway.test_set"
	keyTestSHA256   = "slipway.test_sha256"
	keySizing       = "slipway.sizing"

	keyProbabilities      = "slipway.probabilities"
	keyLabelsPerImage     = "slipway.labels_per_image"
	keyTestSubsetAccuracy = "slipway.test_subset_accuracy"
	keyTrainingPrecision  = "slipway.training_precision"
)

// entries returns the record as metadata. Floats have the fewest digits that read
// back as the same value.
func (r TrainingRecord) entries() (map[string]string, error) {
	if r.PixelScale == 0 && len(r.PixelScales) == 0 {
		r.PixelScale = 1
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("training record: %w", err)
	}
	number := func(value float64) string { return strconv.FormatFloat(value, 'g', -1, 64) }
	entries := map[string]string{
		keyRecord:       recordVersion,
		keyDataSet:      r.DataSet,
		r.accuracyKey(): number(r.TestAccuracy),
		keyTestImages:   strconv.Itoa(r.TestImages),
		keyTrainingLoss: number(r.TrainingLoss),
		keyEpochs:       strconv.Itoa(r.Epochs),
		keySeed:         strconv.FormatUint(r.Seed, 10),
	}
	if r.Elsewhere {
		for _, key := range trainingKeys() {
			delete(entries, key)
		}
	}
	scales, offsets := r.PixelTransform()
	entries[keyPixelScale], entries[keyPixelOffset] = numberList(scales), numberList(offsets)
	for key, target := range r.provenance() {
		if *target != "" {
			entries[key] = *target
		}
	}
	if len(r.ClassLabels) > 0 {
		labels, err := json.Marshal(r.ClassLabels)
		if err != nil {
			return nil, fmt.Errorf("training record: class labels: %w", err)
		}
		entries[keyClassLabels] = string(labels)
	}
	return entries, nil
}

// provenance are the texts that a record may lack, by their keys.
func (r *TrainingRecord) provenance() map[string]*string {
	return map[string]*string{
		keyDataSHA256: &r.DataSHA256, keyAttribution: &r.Attribution, keyLicence: &r.Licence,
		keyTestSet: &r.TestSet, keyTestSHA256: &r.TestSHA256, keySizing: &r.Sizing,
		keyProbabilities: &r.Probabilities, keyLabelsPerImage: &r.LabelsPerImage,
		keyTrainingPrecision: &r.TrainingPrecision,
	}
}

// trainingKeys are those of what only a training by Slipway says.
func trainingKeys() []string {
	return []string{keyTestAccuracy, keyTestSubsetAccuracy, keyTestImages, keyTrainingLoss, keyEpochs,
		keySeed}
}

// accuracyKey is that of the test accuracy, by what it is.
func (r *TrainingRecord) accuracyKey() string {
	if r.MultiLabel() {
		return keyTestSubsetAccuracy
	}
	return keyTestAccuracy
}

// IsZero reports whether the record says nothing.
func (r TrainingRecord) IsZero() bool { return reflect.ValueOf(r).IsZero() }

func (r TrainingRecord) check() error {
	switch {
	case !(r.TestAccuracy >= 0 && r.TestAccuracy <= 1):
		return fmt.Errorf("the test accuracy is %v; it is a share, 0…1", r.TestAccuracy)
	case r.TestImages < 0:
		return fmt.Errorf("the number of test images is %d", r.TestImages)
	case r.Epochs < 0:
		return fmt.Errorf("the number of epochs is %d", r.Epochs)
	case !finite(r.TrainingLoss):
		return fmt.Errorf("the training loss is %v; do not export a run that diverged", r.TrainingLoss)
	case r.Probabilities != "" && r.Probabilities != SigmoidOfScores:
		return fmt.Errorf(
			"the scores become probabilities by %q; only %q and nothing, for a softmax, are known",
			message.Shorten(r.Probabilities), SigmoidOfScores)
	case r.LabelsPerImage != "" && r.LabelsPerImage != AnyLabels:
		return fmt.Errorf("an image has %q labels; only %q and nothing, for one, are known",
			message.Shorten(r.LabelsPerImage), AnyLabels)
	}
	return r.checkPixels()
}

// TrainingRecord returns the record in the model's metadata. ok is false if the
// model has none, as one made elsewhere.
func (m *Model) TrainingRecord() (record TrainingRecord, ok bool, err error) {
	metadata := m.Metadata()
	version, ok := metadata[keyRecord]
	if !ok {
		return TrainingRecord{}, false, nil
	}
	if version != recordVersion {
		return TrainingRecord{}, false, fmt.Errorf(
			"%s: its training record has the version %q; this program reads %s", m.label(),
			message.Shorten(version), recordVersion)
	}
	record, err = parseRecord(metadata)
	if err != nil {
		return TrainingRecord{}, false, fmt.Errorf("%s: training record: %w", m.label(), err)
	}
	return record, true, nil
}

func parseRecord(metadata map[string]string) (TrainingRecord, error) {
	record := TrainingRecord{DataSet: metadata[keyDataSet]}
	for key, target := range record.provenance() {
		*target = metadata[key]
	}
	var first error
	parse := func(key string, into func(text string) error) {
		text, ok := metadata[key]
		if !ok && first == nil {
			first = fmt.Errorf("%s is missing", key)
		}
		if first != nil {
			return
		}
		if err := into(text); err != nil {
			first = fmt.Errorf("%s is %q: not a value of its kind", key, message.Shorten(text))
		}
	}
	float := func(target *float64) func(string) error {
		return func(text string) (err error) { *target, err = strconv.ParseFloat(text, 64); return err }
	}
	integer := func(target *int) func(string) error {
		return func(text string) (err error) { *target, err = strconv.Atoi(text); return err }
	}
	if _, measured := metadata[keyTestImages]; measured {
		parse(record.accuracyKey(), float(&record.TestAccuracy))
		parse(keyTestImages, integer(&record.TestImages))
	}
	record.Elsewhere = !slices.ContainsFunc(trainingKeys(), func(key string) bool {
		_, ok := metadata[key]
		return ok
	})
	if !record.Elsewhere {
		parse(keyTrainingLoss, float(&record.TrainingLoss))
		parse(keyEpochs, integer(&record.Epochs))
		parse(keySeed, func(text string) (err error) {
			record.Seed, err = strconv.ParseUint(text, 10, 64)
			return err
		})
	}
	var scales, offsets []float64
	parse(keyPixelScale, func(text string) (err error) {
		scales, err = numberlist.Parse(text)
		return err
	})
	parse(keyPixelOffset, func(text string) (err error) {
		offsets, err = numberlist.Parse(text)
		return err
	})
	record.setPixelTransform(scales, offsets)
	if _, ok := metadata[keyClassLabels]; ok {
		parse(keyClassLabels, func(text string) error {
			return json.Unmarshal([]byte(text), &record.ClassLabels)
		})
	}
	if first != nil {
		return TrainingRecord{}, first
	}
	return record, record.check()
}

// ForgetAccuracy takes what the record says of the trainer's accuracy out of the
// metadata: of a model that answers a little otherwise it is not known.
func (m *Model) ForgetAccuracy() error {
	metadata := m.Metadata()
	for _, key := range []string{keyTestAccuracy, keyTestSubsetAccuracy, keyTestImages, keyTestSet,
		keyTestSHA256} {
		delete(metadata, key)
	}
	return m.SetMetadata(metadata)
}

// SetTrainingRecord writes the record into the model's metadata, in place of the
// one that is there. Other metadata stays.
func (m *Model) SetTrainingRecord(record TrainingRecord) error {
	entries, err := record.entries()
	if err != nil {
		return err
	}
	metadata := m.Metadata()
	delete(metadata, keyClassLabels)
	for _, key := range trainingKeys() {
		delete(metadata, key)
	}
	for key := range record.provenance() {
		delete(metadata, key)
	}
	for key, value := range entries {
		metadata[key] = value
	}
	return m.SetMetadata(metadata)
}
