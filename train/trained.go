package train

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"slipway/builder"
)

// What weight decay and ParameterPenalty are of.
const (
	// DecayAll is all parameters, as in PyTorch and in the protocol of the experiments.
	DecayAll = "all"
	// DecayWeights leaves out biases and what normalisation scales and shifts with.
	DecayWeights = "weights"
)

// pattern compiles a pattern of Freeze: * stands for any text, also for dots.
func pattern(text string) *regexp.Regexp {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(text), `\*`, ".*") + "$")
}

// Words of patterns: the classifier, and all that is not it.
const (
	HeadWord  = "head"
	TrunkWord = "trunk"
)

// selector says of which tensors, by their names, a pattern is: those whose own name or whose
// layer's name matches, or those of the head, or of the trunk.
func (c Config) selector(network *builder.Network, text string) (func(tensor string) bool, error) {
	if text == HeadWord || text == TrunkWord {
		head, err := network.Head(c.FineTune.Head)
		if err != nil {
			return nil, err
		}
		return func(tensor string) bool {
			return (layerOf(tensor) == head.Name) == (text == HeadWord)
		}, nil
	}
	matches := pattern(text)
	return func(tensor string) bool {
		return matches.MatchString(tensor) || matches.MatchString(layerOf(tensor))
	}, nil
}

// layerOf returns the name of a tensor's layer.
func layerOf(tensor string) string { return tensor[:max(0, strings.LastIndexByte(tensor, '.'))] }

// checkDecay reports what weight decay cannot be of.
func (c Config) checkDecay() error {
	if c.Decay != "" && c.Decay != DecayAll && c.Decay != DecayWeights {
		return wrongSetting("decay", "weight decay of %q; it is of %s parameters or of %s alone", c.Decay,
			DecayAll, DecayWeights)
	}
	return nil
}

// checkTrained reports what is wrong with Freeze.
func (c Config) checkTrained(network *builder.Network) error {
	for _, text := range c.Freeze {
		selected, err := c.selector(network, text)
		if err != nil {
			return fmt.Errorf("freeze %s: %w", text, err)
		}
		if !slices.ContainsFunc(network.Parameters(), func(t builder.TensorSpec) bool {
			return selected(t.Name)
		}) {
			return fmt.Errorf("freeze: network %s has no parameter that is called %q; it has %s",
				network.Name(), text, parameterNames(network))
		}
	}
	if len(network.Parameters()) > 0 && len(c.trained(network)) == 0 {
		return fmt.Errorf("freeze: %s leaves no parameter of network %s to train",
			strings.Join(c.Freeze, ","), network.Name())
	}
	return nil
}

func parameterNames(network *builder.Network) string {
	var names []string
	for _, parameter := range network.Parameters() {
		names = append(names, parameter.Name)
	}
	return firstNames(names)
}

// trained returns the places, among Network.Parameters, of those that are not frozen.
func (c Config) trained(network *builder.Network) []int {
	var frozen []func(tensor string) bool
	for _, text := range c.Freeze {
		if selected, err := c.selector(network, text); err == nil { // checkTrained says what is wrong
			frozen = append(frozen, selected)
		}
	}
	var places []int
	for i, parameter := range network.Parameters() {
		if !slices.ContainsFunc(frozen, func(selected func(string) bool) bool {
			return selected(parameter.Name)
		}) {
			places = append(places, i)
		}
	}
	return places
}

// spares reports whether weight decay and penalties leave the parameter out.
func (c Config) spares(parameter builder.TensorSpec) bool {
	return c.Decay == DecayWeights && parameter.Plain
}

// updated returns the parameters that are not frozen.
func (c Config) updated(network *builder.Network) []updated {
	tensors := network.Tensors()
	var learned []int
	for at, tensor := range tensors {
		if tensor.Role == builder.Learned {
			learned = append(learned, at)
		}
	}
	rateOf := c.rateOf(network)
	head := ""
	if node, err := network.Head(c.FineTune.Head); err == nil { // none is no fault here
		head = node.Name
	}
	var all []updated
	for _, i := range c.trained(network) {
		spec := tensors[learned[i]]
		u := updated{spec: spec, at: learned[i], decays: !c.spares(spec)}
		if c.Optimizer.Name == "muon" && layerOf(spec.Name) != head {
			u.rows = matrixRows(spec)
		}
		if group := rateOf(spec.Name); group >= 0 {
			u.rate = c.FineTune.Rates[group].LearningRate
		}
		all = append(all, u)
	}
	return all
}
