package infer

import (
	"context"
	"fmt"

	"slipway/dataset"
	"slipway/infer/port"
	"slipway/internal/safetensors"
)

// Reference is a set's logits as a file holds them, the trainer's own as a rule.
type Reference struct {
	Logits Logits
	// Data is the data set's name and DataSHA256 its digest, empty if the file does not
	// say.
	Data, DataSHA256 string
	// ModelSHA256 is that of the ONNX file that it lies beside, in hex, empty if
	// the file does not say.
	ModelSHA256 string
}

// ReadReference reads the tensor "logits", N×K float32, and the metadata "data",
// "data_sha256" and "model_sha256", if they are there, of a safetensors file.
func ReadReference(path string) (*Reference, error) {
	file, err := safetensors.Read(path)
	if err != nil {
		return nil, err
	}
	tensor, ok := file.Tensor("logits")
	if !ok {
		return nil, fmt.Errorf(`%s: there is no tensor "logits" in it`, path)
	}
	if len(tensor.Shape) != 2 || tensor.Shape[0] < 1 || tensor.Shape[1] < 1 {
		return nil, fmt.Errorf(`%s: tensor "logits" has shape %v, N×K is wanted`, path, tensor.Shape)
	}
	values, err := tensor.Float32s()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &Reference{
		Logits: Logits{N: tensor.Shape[0], K: tensor.Shape[1], Values: values},
		Data:   file.Metadata["data"],

		DataSHA256: file.Metadata["data_sha256"], ModelSHA256: file.Metadata["model_sha256"],
	}, nil
}

// Matches says why the reference's logits cannot be those of the set's images,
// nil if they can.
func (r *Reference) Matches(source dataset.Source) error {
	set := source.Info()
	if r.Logits.N != source.Len() {
		return fmt.Errorf("it has the logits of %d images, data %s has %d", r.Logits.N, set.Name,
			source.Len())
	}
	switch {
	case r.DataSHA256 != "":
		if digest := set.SHA256; digest != r.DataSHA256 {
			return fmt.Errorf("its logits are of data %s with the sha256 %s, %s has %s", r.Data,
				r.DataSHA256, set.Name, digest)
		}
	case r.Data != "" && r.Data != set.Name:
		return fmt.Errorf("its logits are of data %s, not of %s", r.Data, set.Name)
	}
	return nil
}

// Count counts the logits against the set's labels, as Evaluate does with DefaultThreshold.
func (r *Reference) Count(ctx context.Context, source dataset.Source) (*Result, error) {
	return r.CountAt(ctx, source, DefaultThreshold)
}

// CountAt is Count with another probability above which a label is told, of a set whose images have
// any number of labels.
func (r *Reference) CountAt(ctx context.Context, source dataset.Source, threshold float64) (*Result,
	error) {
	if err := r.Matches(source); err != nil {
		return nil, err
	}
	result := &Result{Info: Info{Runtime: RuntimeTrainer}, Images: source.Len(), Logits: r.Logits}
	if source.Info().MultiLabel {
		result.Scale = port.OfIndependentLogits
	}
	result.Threshold = EvaluateOptions{Scale: result.Scale, Threshold: threshold}.threshold()
	if err := checkClasses(source, r.Logits.K); err != nil {
		return result, err
	}
	labels, err := dataset.AllLabels(ctx, source)
	if err != nil {
		return result, err
	}
	return result, result.count(source.Info(), labels, r.Logits)
}
