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

// checkTrained reports what is wrong with Freeze and Decay.
func (c Config) checkTrained(network *builder.Network) error {
	if c.Decay != "" && c.Decay != DecayAll && c.Decay != DecayWeights {
		return fmt.Errorf("weight decay of %q; it is of %s parameters or of %s alone", c.Decay, DecayAll, DecayWeights)
	}
	for _, text := range c.Freeze {
		matches := pattern(text)
		if !slices.ContainsFunc(network.Parameters(), func(t builder.TensorSpec) bool { return matches.MatchString(t.Name) }) {
			return fmt.Errorf("freeze: network %s has no parameter that is called %q; it has %s", network.Name(), text, parameterNames(network))
		}
	}
	if len(network.Parameters()) > 0 && len(c.trained(network)) == 0 {
		return fmt.Errorf("freeze: %s leaves no parameter of network %s to train", strings.Join(c.Freeze, ","), network.Name())
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
	var patterns []*regexp.Regexp
	for _, text := range c.Freeze {
		patterns = append(patterns, pattern(text))
	}
	var places []int
	for i, parameter := range network.Parameters() {
		if !slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(parameter.Name) }) {
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
	var all []updated
	for _, i := range c.trained(network) {
		spec := tensors[learned[i]]
		all = append(all, updated{spec: spec, at: learned[i], decays: !c.spares(spec)})
	}
	return all
}
