package infer

import (
	"fmt"
	"math"

	"slipway/dataset"
	"slipway/onnx"
)

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
		return fmt.Errorf("the recorded accuracy is of %d images, this one of %d", record.TestImages,
			result.Images)
	}
	limit := tolerance * valueRange(result.Logits.Values)
	undecided := 0
	for i := range result.Logits.N {
		if result.decidedBy(i) <= limit {
			undecided++
		}
	}
	recorded := int(math.Round(record.TestAccuracy * float64(record.TestImages)))
	if difference := recorded - result.Correct; difference > undecided || -difference > undecided {
		return fmt.Errorf(
			"%d of %d images are answered right, the model records %d; rounding explains a difference of %d at most",
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
			return fmt.Sprintf(
				"class %d is %q in the model and %q in %s: accuracy says something only where they mean the same",
				class, model[class], set.ClassNames[class], set.Name)
		}
	}
	return ""
}
