package infer

import (
	"fmt"
	"math"
	"strconv"

	"slipway/dataset"
	"slipway/onnx"
)

// PixelsOf returns how the record's network wants its pixels.
func PixelsOf(record onnx.TrainingRecord) (dataset.Pixels, error) {
	scales, offsets := record.PixelTransform()
	if len(scales) != len(offsets) {
		return dataset.Pixels{}, fmt.Errorf("the model's record scales pixels by %d numbers and adds %d; "+
			"there is one of each for every channel", len(scales), len(offsets))
	}
	if len(scales) > 1 {
		return channelPixelsOf(scales, offsets)
	}
	scale, offset := scales[0], offsets[0]
	switch {
	case scale == 1 && offset == 0:
		return dataset.Pixels{}, nil
	case scale == 1.0/255 && offset == 0:
		return dataset.UnitPixels(), nil
	}
	mean, std := standardOf(scale, offset)
	pixels, err := dataset.StandardPixels(mean, std)
	if err != nil {
		return dataset.Pixels{}, fmt.Errorf("the model's record scales pixels by %g and adds %g: %w", scale, offset, err)
	}
	return pixels, nil
}

// channelPixelsOf is PixelsOf where each channel has a factor and a summand.
func channelPixelsOf(scales, offsets []float64) (dataset.Pixels, error) {
	means, deviations := make([]float64, len(scales)), make([]float64, len(scales))
	for channel, scale := range scales {
		means[channel], deviations[channel] = standardOf(scale, offsets[channel])
	}
	pixels, err := dataset.ChannelPixels(means, deviations)
	if err != nil {
		return dataset.Pixels{}, fmt.Errorf("the model's record scales pixels by %v and adds %v: %w",
			scales, offsets, err)
	}
	return pixels, nil
}

// standardOf returns the mean and the deviation of x·scale + offset = (x/255 − mean)/std.
// They are computed with as float32: no more of their digits count, and so they are told
// as they were given.
func standardOf(scale, offset float64) (mean, std float64) {
	std = 1 / (255 * scale)
	return shortest(-offset * std), shortest(std)
}

// shortest returns the number of the fewest digits that is the same float32.
func shortest(value float64) float64 {
	number, err := strconv.ParseFloat(strconv.FormatFloat(value, 'g', -1, 32), 64)
	if err != nil || float32(number) != float32(value) {
		return value
	}
	return number
}

// PixelsOfModel returns how the model wants its pixels, as its record says; 0…255
// where it has none.
func PixelsOfModel(model *onnx.Model) (dataset.Pixels, error) {
	record, _, err := model.TrainingRecord()
	if err != nil {
		return dataset.Pixels{}, err
	}
	return PixelsOf(record)
}

// CheckRecorded compares the result with the accuracy that the trainer wrote
// into the model. The numbers of right answers may differ by the images whose
// two best logits are no further apart than the tolerance, a fraction of the
// logits' range. The result's logits must have been kept.
func CheckRecorded(result *Result, record onnx.TrainingRecord, tolerance float64) error {
	if err := checkTolerance(tolerance); err != nil {
		return err
	}
	if len(result.Logits.Values) == 0 {
		return fmt.Errorf("the recorded accuracy cannot be checked without the logits")
	}
	if record.TestImages != result.Images {
		return fmt.Errorf("the recorded accuracy is of %d images, this one of %d", record.TestImages, result.Images)
	}
	limit := tolerance * valueRange(result.Logits.Values)
	undecided := 0
	for i := range result.Logits.N {
		if margin(result.Logits.Row(i)) <= limit {
			undecided++
		}
	}
	recorded := int(math.Round(record.TestAccuracy * float64(record.TestImages)))
	if difference := recorded - result.Correct; difference > undecided || -difference > undecided {
		return fmt.Errorf("%d of %d images are answered right, the model records %d; rounding explains a difference of %d at most",
			result.Correct, result.Images, recorded, undecided)
	}
	return nil
}

// isDefault reports whether a model was trained on MNIST's training set, the one that
// train takes where none is named.
func isDefault(record onnx.TrainingRecord) bool {
	return record.DataSet == string(dataset.Train) || record.DataSet == "mnist"
}

// RecordedTestSet is the name of the set that the record's accuracy was measured on,
// empty where it does not say.
func RecordedTestSet(record onnx.TrainingRecord) string {
	if record.TestSet == "" && isDefault(record) {
		return string(dataset.Test)
	}
	return record.TestSet
}

// IsRecordedTest reports whether the set is the one that the record's accuracy was
// measured on. A record that names none is of MNIST's test set, if it is of MNIST.
func IsRecordedTest(record onnx.TrainingRecord, source dataset.Source) bool {
	if record.TestImages != source.Len() {
		return false
	}
	set := source.Info()
	if record.TestSHA256 != "" {
		return set.SHA256 == record.TestSHA256
	}
	return isDefault(record) && set.Name == string(dataset.Test) && set.IsDefault()
}

// OtherClasses says that the classes of a model and those of a set are called by
// different names, empty where they are not, or where either's names are not known.
func OtherClasses(model []string, set dataset.Info) string {
	for class := range min(len(model), len(set.ClassNames)) {
		if model[class] != set.ClassNames[class] {
			return fmt.Sprintf("class %d is %q in the model and %q in %s: accuracy says something only where they mean the same",
				class, model[class], set.ClassNames[class], set.Name)
		}
	}
	return ""
}
