package export

import (
	"context"
	"fmt"
	"io"
	"slices"

	"slipway/dataset"
	"slipway/export"
	"slipway/infer"
	"slipway/onnx"
	"slipway/train"
)

// opener opens the sets that flags name, as what they are for takes pictures.
type opener struct {
	messages io.Writer
	// reading is how pictures are read; order puts their labels into its order.
	reading dataset.Options
	order   func(dataset.Source) (dataset.Source, error)
}

// setsOf returns a run's sets where sets are to be opened beside the graph's own export,
// which reads the run by itself; nothing elsewhere.
func (o *options) setsOf(dir train.RunDir) (train.Sets, error) {
	if o.data == "" && len(o.variants.wanted) == 0 {
		return train.Sets{}, nil
	}
	checkpoint, _, _, err := dir.Latest()
	if err != nil {
		return train.Sets{}, err
	}
	softmax := func(wanted export.VariantOptions) bool { return wanted.Form.Softmax }
	if checkpoint.Config.Loss.Name == train.LossBinary && slices.ContainsFunc(o.variants.wanted,
		softmax) {
		return train.Sets{}, fmt.Errorf("%s: %w", dir.Path(), export.ErrSigmoid)
	}
	return checkpoint.Sets, nil
}

// openerFor opens sets as a run's own were read.
func openerFor(sets train.Sets, skipDamaged bool, messages io.Writer) (*opener, error) {
	reading, err := dataset.Options{}.AsRecorded(sets.Training)
	if err != nil {
		return nil, err
	}
	reading.SkipDamaged = skipDamaged
	return &opener{messages, reading, func(set dataset.Source) (dataset.Source, error) {
		return dataset.MatchClasses(set, sets.Training.ClassNames)
	}}, nil
}

// openerForModel opens sets as a model takes them.
func openerForModel(path string, skipDamaged bool, messages io.Writer) (*opener, error) {
	model, err := infer.LoadModel(path)
	if err != nil {
		return nil, err
	}
	var known *onnx.TrainingRecord
	if record, ok, err := model.TrainingRecord(); err != nil {
		return nil, err
	} else if ok {
		known = &record
	}
	reading, err := infer.PictureOptions(model, known, dataset.Options{SkipDamaged: skipDamaged})
	if err != nil {
		return nil, err
	}
	return &opener{messages, reading, func(set dataset.Source) (dataset.Source, error) {
		return infer.InModelOrder(set, known)
	}}, nil
}

// open opens a set, nil where no name is given.
func (o *opener) open(ctx context.Context, name string, part dataset.Part) (dataset.Source, error) {
	if name == "" {
		return nil, nil
	}
	reading := o.reading
	reading.Part, reading.Messages = part, o.messages
	set, err := dataset.OpenSource(ctx, name, reading)
	if err != nil {
		return nil, err
	}
	return o.order(set)
}
