package train

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/numberlist"
)

// ClassWeightsBalanced is the text of weights that are measured.
const ClassWeightsBalanced = "balanced"

// ClassWeights say how much the images of each class count in a loss. The zero value counts all
// alike. In JSON they are "balanced" or a list of numbers.
type ClassWeights struct {
	// Balanced takes n/(K·n_c) for a class of n_c of the n images that are trained on, as
	// scikit-learn's class_weight="balanced" does: each class counts as much as another. Of the
	// binary loss it takes (n−n_c)/n_c, as PyTorch advises for pos_weight: a class's own images
	// count as much as the others. New puts what it measured in its place, as constants.
	Balanced bool
	// Values has a number above 0 for each class.
	Values []float64
}

// ParseClassWeights reads balanced, or numbers with commas between them.
func ParseClassWeights(text string) (ClassWeights, error) {
	if text == ClassWeightsBalanced {
		return ClassWeights{Balanced: true}, nil
	}
	values, err := numberlist.Parse(text)
	if err != nil {
		return ClassWeights{}, fmt.Errorf("class weights %q: they are %s, or a number for each class "+
			"with commas between, such as 1,2.5", text, ClassWeightsBalanced)
	}
	return ClassWeights{Values: values}, nil
}

// IsZero reports whether all classes count alike.
func (w ClassWeights) IsZero() bool { return !w.Balanced && len(w.Values) == 0 }

// String is what ParseClassWeights reads.
func (w ClassWeights) String() string {
	if w.Balanced {
		return ClassWeightsBalanced
	}
	texts := make([]string, len(w.Values))
	for i, value := range w.Values {
		texts[i] = strconv.FormatFloat(value, 'g', -1, 64)
	}
	return strings.Join(texts, ",")
}

// MarshalJSON writes "balanced" or the numbers.
func (w ClassWeights) MarshalJSON() ([]byte, error) {
	if w.Balanced {
		return json.Marshal(ClassWeightsBalanced)
	}
	return json.Marshal(w.Values)
}

// UnmarshalJSON reads "balanced" or a list of numbers.
func (w *ClassWeights) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		parsed, err := ParseClassWeights(text)
		if err == nil {
			*w = parsed
		}
		return err
	}
	var values []float64
	if err := json.Unmarshal(data, &values); err != nil {
		return fmt.Errorf("class weights: %s is neither %q nor a list of numbers, one for each class",
			data, ClassWeightsBalanced)
	}
	*w = ClassWeights{Values: values}
	return nil
}

// checkValues reports weights that are none.
func (w ClassWeights) checkValues() error {
	const mostWeight = 1e12
	if w.Balanced && len(w.Values) > 0 {
		return wrongSetting("loss.class_weights",
			"class weights are given and to be measured; only one of them can be")
	}
	for class, value := range w.Values {
		// The loss is weighted in float32, in which a sum of them must find room.
		if single := float32(value); !(single > 0 && single <= mostWeight) {
			return wrongSetting("loss.class_weights",
				"class weights: that of class %d is %v; it must be a number above 0, %g at most",
				class, value, mostWeight)
		}
	}
	return nil
}

// check reports weights that are too few or too many for the network.
func (w ClassWeights) check(network *builder.Network) error {
	if len(w.Values) == 0 {
		return nil
	}
	classes, err := network.Classes()
	if err != nil {
		return err
	}
	if len(w.Values) != classes {
		return fmt.Errorf("%d class weights, and network %s has %d classes; give a number for each",
			len(w.Values), network.Name(), classes)
	}
	return nil
}

// measured returns the weights as constants, for the labels of the images that are trained on and a
// network of so many classes. Classes that the network alone has count as they are.
func (l Loss) measured(labels []int32, info dataset.Info, classes int) (ClassWeights, error) {
	w := l.ClassWeights
	if !w.Balanced {
		return w, nil
	}
	counts, _ := info.Counts(labels)
	weights := slices.Repeat([]float64{1}, classes)
	for class, count := range counts {
		if count == 0 {
			name := strconv.Itoa(class)
			if class < len(info.ClassNames) {
				name += " (" + info.ClassNames[class] + ")"
			}
			return w, fmt.Errorf("data %s: class %s has no image that is trained on, and balanced "+
				"class weights divide by their number; give a number for each class instead",
				info.Name, name)
		}
		weights[class] = float64(len(labels)) / (float64(info.Classes) * float64(count))
		if l.Name == LossBinary && count == len(labels) {
			return w, fmt.Errorf("data %s: all images that are trained on are of class %d, and balanced "+
				"class weights are those without it by those with it; give a number for each class instead",
				info.Name, class)
		}
		if l.Name == LossBinary {
			weights[class] = float64(len(labels)-count) / float64(count)
		}
	}
	return ClassWeights{Values: weights}, nil
}

// sum returns the sum of the weights of the images of those indices, 0 where all count alike.
func (w ClassWeights) sum(labels []int32, indices []int) float64 {
	total := 0.0
	if len(w.Values) > 0 {
		for _, i := range indices {
			total += w.Values[labels[i]]
		}
	}
	return total
}

// takeWeights measures the class weights where the configuration asks for that.
func (t *Trainer) takeWeights() error {
	if t.config.Loss.ClassWeights.IsZero() {
		return nil
	}
	classes, err := t.network.Classes()
	if err != nil {
		return err
	}
	labels, err := t.trainingLabels()
	if err != nil {
		return err
	}
	t.config.Loss.ClassWeights, err = t.config.Loss.measured(labels, t.trainingInfo, classes)
	return err
}
