package train

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/internal/kernel"
)

// OptimizerConfig chooses the update rule and its constants. The zero value of
// a constant means PyTorch's default for that optimizer; a constant that the
// chosen optimizer does not have must be zero.
type OptimizerConfig struct {
	// Name is adam, adamw, sgd, rmsprop, lion or muon. Muon updates the weights of convolutions and
	// dense layers, but the classifier's, a filter as a row; all else is AdamW's, with the same rate.
	Name string `json:"name"`
	// LearningRate is the step size, 1e-3 if zero (1e-2 for rmsprop, 1e-4 for lion).
	LearningRate float64 `json:"learning_rate"`
	// Beta1 and Beta2 are the decay rates of Adam's, AdamW's and Lion's moments,
	// 0.9 and 0.999 (0.99 for lion) if zero. Muon's are those of its AdamW.
	Beta1 float64 `json:"beta1,omitempty"`
	Beta2 float64 `json:"beta2,omitempty"`
	// Alpha is RMSProp's decay rate, 0.99 if zero.
	Alpha float64 `json:"alpha,omitempty"`
	// Momentum is that of SGD and RMSProp, none if zero, and Muon's, 0.95 if zero.
	Momentum float64 `json:"momentum,omitempty"`
	// Nesterov makes SGD's momentum look ahead.
	Nesterov bool `json:"nesterov,omitempty"`
	// Epsilon keeps denominators of Adam, AdamW (Muon's, too) and RMSProp from zero, 1e-8 if
	// zero.
	Epsilon float64 `json:"epsilon,omitempty"`
	// WeightDecay is decoupled from the gradient in AdamW, Lion and Muon (p −= lr·decay·p), and
	// added to it in the others (g += decay·p).
	WeightDecay float64 `json:"weight_decay,omitempty"`
}

// OptimizerNames lists the optimizers there are.
func OptimizerNames() []string {
	return []string{"adam", "adamw", "sgd", "rmsprop", "lion", "muon"}
}

// withDefaults fills in PyTorch's defaults and reports constants that are out of
// range or that the optimizer does not have.
func (c OptimizerConfig) withDefaults() (OptimizerConfig, error) {
	if c.Name == "" {
		c.Name = "adam"
	}
	if !slices.Contains(OptimizerNames(), c.Name) {
		return c, wrongSetting("optimizer.name", "unknown optimizer %q; there are %v", c.Name,
			OptimizerNames())
	}
	isAdam, isLion, isMuon := c.Name == "adam" || c.Name == "adamw", c.Name == "lion", c.Name == "muon"
	rate, beta2, momentum, mostMomentum := 1e-3, 0.999, 0.0, math.Inf(1)
	switch {
	case c.Name == "rmsprop":
		rate = 1e-2
	case isLion:
		rate, beta2 = 1e-4, 0.99
	case isMuon:
		momentum, mostMomentum = 0.95, 1 // a mean's, not a sum's
	}
	for _, option := range []struct {
		name    string
		value   *float64
		applies bool
		initial float64
		below   float64 // exclusive upper bound
	}{
		{"learning rate", &c.LearningRate, true, rate, math.Inf(1)},
		{"beta1", &c.Beta1, isAdam || isLion || isMuon, 0.9, 1},
		{"beta2", &c.Beta2, isAdam || isLion || isMuon, beta2, 1},
		{"alpha", &c.Alpha, c.Name == "rmsprop", 0.99, 1},
		{"momentum", &c.Momentum, c.Name == "sgd" || c.Name == "rmsprop" || isMuon, momentum,
			mostMomentum},
		{"epsilon", &c.Epsilon, isAdam || isMuon || c.Name == "rmsprop", 1e-8, math.Inf(1)},
		{"weight decay", &c.WeightDecay, true, 0, math.Inf(1)},
	} {
		setting := "optimizer." + strings.ReplaceAll(option.name, " ", "_")
		if !option.applies && *option.value != 0 {
			return c, wrongSetting(setting, "optimizer %s has no %s", c.Name, option.name)
		}
		if option.applies && *option.value == 0 {
			*option.value = option.initial
		}
		if !(*option.value >= 0 && *option.value < option.below) {
			return c, wrongSetting(setting, "optimizer %s: %s %v is out of range", c.Name, option.name,
				*option.value)
		}
	}
	if c.Nesterov && (c.Name != "sgd" || c.Momentum == 0) {
		return c, wrongSetting("optimizer.nesterov", "optimizer %s: Nesterov needs sgd with momentum",
			c.Name)
	}
	return c, nil
}

// slots names the tensors of state that the optimizer keeps for each parameter,
// as PyTorch names them. Muon keeps the first for matrices alone, and the others for all else.
func (c OptimizerConfig) slots() []string {
	switch c.Name {
	case "adam", "adamw":
		return []string{"exp_avg", "exp_avg_sq"}
	case "sgd":
		if c.Momentum != 0 {
			return []string{"momentum_buffer"}
		}
	case "rmsprop":
		if c.Momentum != 0 {
			return []string{"square_avg", "momentum_buffer"}
		}
		return []string{"square_avg"}
	case "lion":
		return []string{"exp_avg"}
	case "muon":
		return []string{"momentum_buffer", "exp_avg", "exp_avg_sq"}
	}
	return nil
}

// optimizer updates the parameters from their gradients, in one pass over each
// tensor. Its state can be read and set, so that a resumed run goes on exactly.
type optimizer struct {
	config OptimizerConfig
	// factor is the schedule's, of the rates of groups; that of config has it already.
	factor float64
	steps  int
	// parameters are those that it updates; state[s][i] is slot s of parameter i, in the parameter's
	// own layout.
	parameters []updated
	state      [][][]float32
	update     updater
}

// updater runs one optimizer's rule over one tensor. A slot of state that the
// configuration does not use is nil.
type updater interface {
	adam(p, g, m, v []float32, c OptimizerConfig, step int) error
	sgd(p, g, momentum []float32, c OptimizerConfig, step int) error
	rmsprop(p, g, square, momentum []float32, c OptimizerConfig) error
	lion(p, g, m []float32, c OptimizerConfig) error
	// muon updates a matrix of so many rows.
	muon(p, g, momentum []float32, c OptimizerConfig, rows int) error
}

var _ gorgonia.Solver = (*optimizer)(nil)

// Step updates each parameter from its gradient. The parameters must come in
// the same order every time.
func (o *optimizer) Step(model []gorgonia.ValueGrad) error {
	if len(o.state) > 0 && len(model) != len(o.state[0]) {
		return fmt.Errorf("optimizer %s: %d parameters, its state has %d", o.config.Name, len(model),
			len(o.state[0]))
	}
	o.steps++
	for i, parameter := range model {
		gradient, err := parameter.Grad()
		if err != nil {
			return fmt.Errorf("optimizer %s: gradient of parameter %d: %w", o.config.Name, i, err)
		}
		p, pOK := parameter.Value().(*tensor.Dense)
		g, gOK := gradient.(*tensor.Dense)
		if !pOK || !gOK {
			return fmt.Errorf("optimizer %s: parameter %d is a %T with a %T gradient, want dense tensors",
				o.config.Name, i, parameter.Value(), gradient)
		}
		if err := o.updatePart(i, 0, p.Float32s(), g.Float32s()); err != nil {
			return err
		}
	}
	return nil
}

// updated is a parameter that an optimizer updates.
type updated struct {
	spec builder.TensorSpec
	// at is its place among the network's tensors.
	at int
	// decays says whether weight decay is of it, too.
	decays bool
	// rate is its group's learning rate, 0 where it has the optimizer's.
	rate float64
	// rows is how many the parameter has as a matrix that Muon updates, as it lies in the engine; 0 if
	// Muon does not.
	rows int
	// since is the number of steps that the optimizer took before it was trained.
	since int
}

// keeps reports whether the optimizer has state of the parameter in that of its slots.
func (c OptimizerConfig) keeps(slot string, parameter updated) bool {
	return c.Name != "muon" || (slot == "momentum_buffer") == (parameter.rows > 0)
}

// newOptimizer returns an optimizer for the parameters, with zero state, which lies in the rows
// that keep returns for a slot and a parameter; nil has it made. The configuration must have its
// defaults filled in.
func newOptimizer(config OptimizerConfig, parameters []updated, engine *builder.Engine,
	keep func(slot, parameter int) []float32) (*optimizer, error) {
	o := &optimizer{config: config, factor: 1, parameters: parameters, update: plainUpdater{}}
	if kernels, native := engine.Kernels(); native {
		pass, err := kernel.NewElementwise(kernels)
		if err != nil {
			return nil, err
		}
		o.update = kernelUpdater{pass: pass, engine: kernels, matrices: make(map[[2]int]*kernel.Muon)}
	}
	for s, name := range config.slots() {
		slot := make([][]float32, len(parameters))
		for i, parameter := range parameters {
			switch {
			case !config.keeps(name, parameter):
			case keep != nil:
				slot[i] = keep(s, i)
			default:
				slot[i] = make([]float32, parameter.spec.Shape.Elements())
			}
		}
		o.state = append(o.state, slot)
	}
	return o, nil
}

// slot returns the state of so many numbers of parameter i from first on in that slot, nil if the
// optimizer does not have it.
func (o *optimizer) slot(s, i, first, numbers int) []float32 {
	if s >= len(o.state) || o.state[s][i] == nil {
		return nil
	}
	return o.state[s][i][first : first+numbers]
}

// separable reports whether each number of a parameter is updated by its own gradient alone.
func (c OptimizerConfig) separable() bool { return c.Name != "muon" }

// updatePart applies the rule to the numbers p of parameter i, from first on: all of it where the
// rule is not separable.
func (o *optimizer) updatePart(i, first int, p, g []float32) error {
	if err := o.apply(i, first, p, g); err != nil {
		return fmt.Errorf("optimizer %s: parameter %d: %w", o.config.Name, i, err)
	}
	return nil
}

func (o *optimizer) apply(i, first int, p, g []float32) error {
	config, parameter := o.config, o.parameters[i]
	if !parameter.decays {
		config.WeightDecay = 0
	}
	if parameter.rate != 0 {
		config.LearningRate = parameter.rate * o.factor
	}
	steps := o.steps - parameter.since
	slot := func(s int) []float32 { return o.slot(s, i, first, len(p)) }
	switch config.Name {
	case "adam", "adamw":
		return o.update.adam(p, g, slot(0), slot(1), config, steps)
	case "sgd":
		return o.update.sgd(p, g, slot(0), config, steps)
	case "lion":
		return o.update.lion(p, g, slot(0), config)
	case "muon":
		if parameter.rows > 0 {
			return o.update.muon(p, g, slot(0), config, parameter.rows)
		}
		config.Name = "adamw"
		return o.update.adam(p, g, slot(1), slot(2), config, steps)
	default:
		return o.update.rmsprop(p, g, slot(0), slot(1), config)
	}
}

// State returns a copy of the state tensors by slot, in the public layout.
func (o *optimizer) State(variables *builder.Variables) map[string]builder.Weights {
	state := make(map[string]builder.Weights)
	for s, slot := range o.config.slots() {
		for i, parameter := range o.parameters {
			if !o.config.keeps(slot, parameter) {
				continue
			}
			state[slot] = append(state[slot], builder.Tensor{
				Name: parameter.spec.Name, Shape: parameter.spec.Shape,
				Data: variables.ToPublic(parameter.at, o.state[s][i]),
			})
		}
	}
	return state
}

// SetState takes up the state that State returned after that many steps.
func (o *optimizer) SetState(variables *builder.Variables, state map[string]builder.Weights,
	steps int) {
	o.steps = steps
	for s, slot := range o.config.slots() {
		next := 0 // of those that there are
		for i, parameter := range o.parameters {
			if next < len(state[slot]) && o.config.keeps(slot, parameter) {
				variables.FromPublic(parameter.at, o.state[s][i], state[slot][next].Data)
				next++
			}
		}
	}
}

// takeOver takes the state of another optimizer of the same rule: its steps, and its tensors of the
// parameters that both have.
func (o *optimizer) takeOver(other *optimizer) {
	o.steps = other.steps
	for i, parameter := range o.parameters {
		for j, before := range other.parameters {
			if parameter.at != before.at {
				continue
			}
			for s := range o.state {
				copy(o.state[s][i], other.state[s][j])
			}
		}
	}
}
