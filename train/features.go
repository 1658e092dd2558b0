package train

import (
	"context"
	"fmt"
	"math"
	"reflect"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/display"
	"slipway/internal/ops"
)

// When the output of layers that do not change is computed once for each image.
const (
	// FeaturesAuto is where no result differs by it: where images are not augmented.
	FeaturesAuto = "auto"
	// FeaturesOnce is with augmentation as well. The steps see the images as they are then, while
	// the layers are frozen.
	FeaturesOnce = "once"
	// FeaturesNever computes everything in every step.
	FeaturesNever = "never"
)

// DefaultFeatureBytes is 1 GB.
const DefaultFeatureBytes = 1e9

// FeatureModes lists the modes there are.
func FeatureModes() []string { return []string{FeaturesAuto, FeaturesOnce, FeaturesNever} }

// features keeps, for each image of some sets, what the layers give that do not change in the
// epochs of a phase, so that only what is above them is computed in a step and in an evaluation.
// They are what the whole graph computes there, to the bit: an image's values do not depend on
// the others in its batch.
type features struct {
	trainer *Trainer
	cut     string
	size    int // values of an image
	sets    []*featureSet
}

// featureSet is the features of a set, in training or in evaluation: where convolutions are
// computed in another way in training, they are not the same in all bits.
type featureSet struct {
	source   dataset.Source
	info     dataset.Info
	training bool
	shape    int // values of an image
	done     int // images that are computed
	values   []float32
	labels   []int32
}

// newFeatures returns the features of the phase that begins, nil where there are none.
func newFeatures(t *Trainer) (*features, error) {
	f := t.plannedFeatures()
	if f == nil {
		return nil, nil
	}
	once := t.phase.FineTune.Features == FeaturesOnce
	if (once || t.phase.sameImages() == "") && !f.keep(t.training, true) && once {
		// Without them the steps would see other images.
		return nil, fmt.Errorf("features once: those of %s would take %s, and %s are allowed",
			t.trainingInfo.Name, megabytes((&featureSet{source: t.training,
				shape: f.size}).bytes()), megabytes(t.phase.FineTune.FeatureBytes))
	}
	if t.validation != nil {
		f.keep(t.validation, false)
	}
	f.add(t.tested)
	return f, nil
}

// sameImages says why a step may see an image otherwise than the step before, empty where each is
// always the same.
func (c Config) sameImages() string {
	switch {
	case !c.Mix.IsZero():
		return "images are mixed"
	case !c.Augmentation.IsZero():
		return "images are augmented"
	}
	return ""
}

// plannedFeatures returns features of no set yet.
func (t *Trainer) plannedFeatures() *features {
	if t.phase.FineTune.Features == FeaturesNever || t.config.Device != nil {
		return nil
	}
	cut, _ := t.phase.cut(t.network)
	node, ok := t.network.Node(cut)
	if !ok {
		return nil
	}
	return &features{trainer: t, cut: cut, size: node.Output.Elements()}
}

// keep has the features of a set kept, and reports whether they have their place beside the others.
func (f *features) keep(source dataset.Source, training bool) bool {
	set := &featureSet{source: source, info: source.Info(), training: training, shape: f.size}
	if f.Bytes()+set.bytes() > f.trainer.phase.FineTune.FeatureBytes {
		return false
	}
	f.sets = append(f.sets, set)
	return true
}

// add has the features of a set that is evaluated kept.
func (f *features) add(source dataset.Source) {
	if f != nil && source != nil && f.find(source, false) == nil {
		f.keep(source, false)
	}
}

// Bytes returns the memory that the features take when all are computed.
func (f *features) Bytes() int64 {
	bytes := int64(0)
	for _, set := range f.sets {
		bytes += set.bytes()
	}
	return bytes
}

func (s *featureSet) bytes() int64 {
	images := int64(s.source.Len())
	if images > math.MaxInt64/8/int64(s.shape+1) {
		return math.MaxInt64 / 2
	}
	return 4 * images * int64(s.shape+1)
}

// find returns the features of the source, nil if none are kept.
func (f *features) find(source dataset.Source, training bool) *featureSet {
	if f == nil {
		return nil
	}
	if training && same(source, f.trainer.augmented) {
		source = f.trainer.training
	}
	for _, set := range f.sets {
		if set.training == training && same(set.source, source) {
			return set
		}
	}
	return nil
}

// same reports whether two sources are one.
func same(a, b dataset.Source) bool {
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// of returns the features of a source, computed if they are not yet, nil if none are kept. What is
// computed when the context ends stays.
func (f *features) of(ctx context.Context, training bool, source dataset.Source) (*featureSet,
	error) {
	if f == nil {
		return nil, nil
	}
	set := f.find(source, training)
	if set == nil || set.done == set.source.Len() {
		return set, nil
	}
	images := set.source.Len()
	if set.values == nil {
		set.values, set.labels = make([]float32, images*f.size), make([]int32, images)
	}
	graphs := make(map[int]*trunk) // by batch size: two at most
	for set.done < images {
		batch := min(evaluationBatch(f.trainer.network), images-set.done)
		if graphs[batch] == nil {
			var err error
			if graphs[batch], err = f.trunk(batch, training); err != nil {
				return nil, err
			}
		}
		if err := set.compute(ctx, f.trainer.feeder, graphs[batch], batch); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// compute computes the features of the next images.
func (s *featureSet) compute(ctx context.Context, feeder *feeder, graph *trunk, batch int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	indices := make([]int, batch)
	for i := range indices {
		indices[i] = s.done + i
	}
	labels := s.labels[s.done : s.done+batch]
	if err := feeder.fill(ctx, graph.Images(), labels,
		feed{s.source, s.info, indices, 0}); err != nil {
		return &ReadError{err}
	}
	graph.Feed()
	graph.machine.Reset()
	if err := graph.machine.RunAll(); err != nil {
		return fmt.Errorf("features of %s: %w", s.info.Name, err)
	}
	output, ok := graph.Logits.Value().(*tensor.Dense)
	if !ok {
		return fmt.Errorf("features are a %T", graph.Logits.Value())
	}
	copy(s.values[s.done*s.shape:], output.Float32s())
	s.done += batch
	return nil
}

// fill writes the features and the labels of images.
func (s *featureSet) fill(values []float32, labels []int32, indices []int) {
	for i, index := range indices {
		copy(values[i*s.shape:(i+1)*s.shape], s.values[index*s.shape:(index+1)*s.shape])
		labels[i] = s.labels[index]
	}
}

// trunk is the compiled graph of the layers that do not change.
type trunk struct {
	*builder.Lowered
	machine gorgonia.VM
}

func (f *features) trunk(batch int, training bool) (*trunk, error) {
	t := f.trainer
	graph, err := t.network.Lower(t.variables, builder.LowerOptions{
		Batch: batch, Training: training, Seed: t.phase.Seed, To: f.cut,
	})
	if err != nil {
		return nil, err
	}
	if _, err := ops.PlanMemory(graph.Expr, gorgonia.Nodes{graph.Logits}); err != nil {
		return nil, err
	}
	return &trunk{graph, gorgonia.NewTapeMachine(graph.Expr)}, nil
}

// Features says in a line, for people, what the trainer computes once for each image, up to which
// layer, and what it takes; or why it does not, though parameters are frozen. It is empty where
// there is nothing to say.
func (t *Trainer) Features() string {
	if len(t.phase.Freeze) == 0 {
		return ""
	}
	if t.config.Device != nil {
		return t.featuresOfDevice()
	}
	until := ""
	if epoch := t.phase.FineTune.FreezeUntil; epoch > 0 {
		until = fmt.Sprintf(", up to epoch %d", epoch-1)
	}
	f := t.features
	if f != nil && f.find(t.augmented, true) != nil {
		note := ""
		if !t.phase.Augmentation.IsZero() {
			note = ", of images that are not augmented"
		}
		return fmt.Sprintf("features: what %s gives is computed once for each image%s%s: %s "+
			"values, %s in all",
			f.cut, until, note, display.Thousands(f.size), megabytes(f.Bytes()))
	}
	_, why := t.phase.cut(t.network)
	switch {
	case t.phase.FineTune.Features == FeaturesNever:
		return ""
	case f == nil:
		return "features: computed anew in each step, since " + why
	case t.phase.sameImages() != "" && t.phase.FineTune.Features != FeaturesOnce:
		return fmt.Sprintf("features: what %s gives is computed anew in each step, since %s", f.cut,
			t.phase.sameImages())
	}
	training := &featureSet{source: t.training, shape: f.size}
	return fmt.Sprintf("features: what %s gives is computed anew in each step, since that of all "+
		"images would take %s, and %s are allowed",
		f.cut, megabytes(training.bytes()), megabytes(t.phase.FineTune.FeatureBytes))
}

// featuresOfDevice is Features of a device, which keeps none.
func (t *Trainer) featuresOfDevice() string {
	cut, _ := t.phase.cut(t.network)
	if cut == "" || t.phase.FineTune.Features == FeaturesNever {
		return ""
	}
	return fmt.Sprintf("features: what %s gives is computed anew in each step, since a device keeps none",
		cut)
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }
