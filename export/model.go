package export

import (
	"fmt"

	"slipway/builder"
	"slipway/onnx"
	"slipway/onnx/convert"
	"slipway/train"
)

// ModelOptions are what FromTrainer may be told. The zero value is good.
type ModelOptions struct {
	convert.Options
	// Test is the trainer's own answer on its test set with the weights as they are, as
	// Trainer.Evaluate gives it. Without it no accuracy is recorded.
	Test *train.Evaluation
}

// FromTrainer makes the ONNX model of what the trainer holds now. Its training record
// says how pixels are fed, what the classes are called, and what the weights were
// learned from, so that whoever runs the model feeds it as the trainer does.
func FromTrainer(trainer *train.Trainer, options ModelOptions) (*onnx.Model, error) {
	record, err := Record(trainer.Network(), trainer.Config(), trainer.Sets(), trainer.Progress(),
		options.Test)
	if err != nil {
		return nil, err
	}
	return convert.FromNetwork(trainer.Network(), trainer.Weights(), record, options.Options)
}

// Record is what a graph tells of the run that it comes from. test is the answer on the
// test set of the sets, nil where there is none.
func Record(network *builder.Network, config train.Config, sets train.Sets, progress train.Progress,
	test *train.Evaluation) (onnx.TrainingRecord, error) {
	classes, err := network.Classes()
	if err != nil {
		return onnx.TrainingRecord{}, fmt.Errorf("export: %w", err)
	}
	training := sets.Training
	record := onnx.TrainingRecord{
		DataSet: training.ShortName(), Epochs: progress.Epochs, Seed: config.Seed,
		ClassLabels: training.Labels(classes),
	}
	if len(progress.History) > 0 {
		record.TrainingLoss = progress.Result(config).MeanLoss
	}
	if test != nil {
		record.TestAccuracy, record.TestImages = test.Accuracy, len(test.Logits)/test.Classes
	}
	// Of the sets that every command takes where none is named, the name says it all.
	if !training.IsDefault() || sets.Pretrained != "" {
		record.DataSHA256, record.Attribution, record.Licence = training.SHA256, sets.Attribution(), training.Licence
	}
	if test != nil && sets.Test != nil && !(training.IsDefault() && sets.Test.IsDefault()) {
		record.TestSet, record.TestSHA256 = sets.Test.ShortName(), sets.Test.SHA256
	}
	record.Sizing = training.Sizing
	if config.Precision != train.PrecisionFloat32 { // the default, of which a record says nothing
		record.TrainingPrecision = config.Precision
	}
	if config.Loss.Name == train.LossBinary {
		record.Probabilities = onnx.SigmoidOfScores
	}
	if training.MultiLabel {
		record.LabelsPerImage = onnx.AnyLabels
	}
	return record, setPixels(&record, config)
}

// setPixels records how the configuration feeds pixels.
func setPixels(record *onnx.TrainingRecord, config train.Config) error {
	scales, offsets, err := config.PixelTransform()
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return record.SetPixelTransform(scales, offsets)
}
