package train

import (
	"fmt"
	"strings"
	"sync"

	"slipway/builder"
	"slipway/dataset"
)

// Sets is what a run records of its data. What is unknown is zero, as in checkpoints of
// before there was this record.
type Sets struct {
	// Training is the training set, what is held out of it included.
	Training dataset.Info `json:"training"`
	// Validation is what Config.ValidationFraction holds out, nil where that is nothing.
	Validation *dataset.Info `json:"validation,omitempty"`
	// Test is the set on which accuracy was measured after each epoch, nil without one.
	Test *dataset.Info `json:"test,omitempty"`
	// Pretrained says whose weights the run began with, where somebody else learned them, and what
	// may be done with them: what was learned from their set is in them, too.
	Pretrained string `json:"pretrained,omitempty"`
}

// String says in a line what a run is trained and tested on.
func (s Sets) String() string {
	if s.Test == nil {
		return fmt.Sprintf("trained on %v; tested on nothing", s.Training)
	}
	return fmt.Sprintf("trained on %v; tested on %v", s.Training, *s.Test)
}

// Attribution names the published set that the run learned from, and its authors, and whose
// weights it began with; empty where neither is known.
func (s Sets) Attribution() string {
	var texts []string
	if s.Training.Title != "" {
		texts = append(texts, s.Training.Title+": "+s.Training.Authors)
	}
	if s.Pretrained != "" {
		texts = append(texts, "trained on from "+s.Pretrained)
	}
	return strings.Join(texts, "; ")
}

// WithoutPlaces is the record as others may see it: without folders of this machine.
func (s Sets) WithoutPlaces() Sets {
	hide := func(info dataset.Info) dataset.Info {
		info.Name, info.Place = info.ShortName(), ""
		return info
	}
	hidden := Sets{Training: hide(s.Training), Pretrained: s.Pretrained}
	if s.Validation != nil {
		validation := hide(*s.Validation)
		hidden.Validation = &validation
	}
	if s.Test != nil {
		test := hide(*s.Test)
		hidden.Test = &test
	}
	return hidden
}

// Sets returns what is recorded of the trainer's data.
func (t *Trainer) Sets() Sets { return t.sets() }

// BeganFrom has the trainer record whose weights its run began with, and under which licence, or
// which file they are from (pretrained.FileOrigin).
func (t *Trainer) BeganFrom(pretrained string) {
	before := t.sets
	t.sets = sync.OnceValue(func() Sets {
		sets := before()
		sets.Pretrained = pretrained
		return sets
	})
}

// TestOn has the trainer record the set as the one that its run is tested on. The error
// says why the network cannot classify its images, or what its classes are called that
// the training set calls otherwise.
func (t *Trainer) TestOn(source dataset.Source) error {
	if err := fits(t.network, source); err != nil {
		return err
	}
	test := source.Info()
	if err := t.sameLabels(test); err != nil {
		return err
	}
	before := t.sets()
	for class := range min(len(before.Training.ClassNames), len(test.ClassNames)) {
		if learned, tested := before.Training.ClassNames[class],
			test.ClassNames[class]; learned != tested {
			return fmt.Errorf(
				"class %d is %q in %s and %q in %s: test on a set of the same classes in the same order",
				class, learned, before.Training.Name, tested, test.Name)
		}
	}
	before.Test = &test
	t.tested = source
	t.features.add(source)
	t.sets = func() Sets { return before }
	return nil
}

// describeSets returns the record of a trainer's sets, made when it is first asked for:
// it reads all of them.
func describeSets(whole, validation dataset.Source) Sets {
	sets := Sets{Training: whole.Info()}
	if validation != nil {
		held := validation.Info()
		sets.Validation = &held
	}
	return sets
}

// classesAssumed is what sets from files were taken to have before labels said it.
const classesAssumed = 10

// holds reports whether a set is the one that a checkpoint was made with. Checkpoints of
// before sets were recorded took every set for one of classesAssumed classes, or of as
// many as the network has logits.
func (c *Checkpoint) holds(source dataset.Source, digest string) bool {
	if c.Data == "" || c.Data == digest {
		return true
	}
	set, ok := source.(*dataset.Set)
	if c.Sets.Training.Images != 0 || !ok {
		return false
	}
	logits, err := c.Network.Classes()
	return c.Data == set.DigestOf(classesAssumed) || err == nil &&
		c.Data == set.DigestOf(min(logits, 256))
}

// fits reports whether the network can classify the images of the set.
func fits(network *builder.Network, source dataset.Source) error {
	classes, err := network.Classes()
	if err != nil {
		return err
	}
	set := source.Info()
	image := builder.Shape{set.Channels, set.Height, set.Width}
	if input := network.Input(); input.String() != image.String() &&
		(len(input) != 1 || input[0] != image.Elements()) {
		return &UnfitError{fmt.Sprintf("network %s takes %v, the images of %s are %v", network.Name(),
			input, set.Name, image)}
	}
	if set.MultiLabel && classes != set.Classes {
		return &UnfitError{fmt.Sprintf(
			"network %s has %d logits, the images of %s have any of %d labels: "+
				"a network has a logit for each label", network.Name(), classes, set.Name, set.Classes)}
	}
	if classes < set.Classes {
		labels := ""
		if inMemory, ok := source.(*dataset.Set); ok {
			labels = ": " + inMemory.LabelRange()
		}
		return &UnfitError{fmt.Sprintf("network %s has %d logits, %s has %d classes%s", network.Name(),
			classes, set.Name, set.Classes, labels)}
	}
	return nil
}

// tellsApart reports a set of a single class, on which each answer is right. A network that
// fits another set has more than one.
func tellsApart(source dataset.Source) error {
	set := source.Info()
	if set.MultiLabel && set.Classes < 2 {
		return fmt.Errorf("the images of %s have a single label, or not: at least 2 labels are needed; "+
			"make two classes of it, such as yes and no", set.Name)
	}
	if set.Classes < 2 {
		return fmt.Errorf(
			"the images of %s are all of one class, and there is nothing to tell apart: at least 2 are needed",
			set.Name)
	}
	return nil
}
