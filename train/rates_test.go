package train

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/internal/networktest"
	"slipway/scripts/golden/goldentest"
)

// Groups have their own rates, times the schedule's factor, and a parameter that joins later begins
// with its first step, as PyTorch's does in a param group that is added.
func TestGroupsAgreeWithPyTorch(t *testing.T) {
	cases := goldentest.Read(t, filepath.Join("testdata", "groups.safetensors")).Cases
	if len(cases) != 6 {
		t.Errorf("%d golden cases", len(cases))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			var config OptimizerConfig
			if err := json.Unmarshal(c.Optimizer, &config); err != nil {
				t.Fatal(err)
			}
			config, err := config.withDefaults()
			if err != nil {
				t.Fatal(err)
			}
			eachEngine(t, func(t *testing.T, name string) {
				engine, err := builder.NewEngine(name, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer engine.Close()
				checkGroups(t, config, engine, c)
			})
		})
	}
}

func checkGroups(t *testing.T, config OptimizerConfig, engine *builder.Engine, c goldentest.Case) {
	t.Helper()
	var values []*tensor.Dense
	var sizes []int
	for i := range c.Rates {
		data := c.Floats(t, fmt.Sprint("p", i))
		sizes = append(sizes, len(data))
		values = append(values, tensor.New(tensor.WithShape(len(data)), tensor.WithBacking(data)))
	}
	all := ofSizes(sizes...)
	for i, rate := range c.Rates {
		all[i].rate = rate
	}
	config.LearningRate, all[1].rate = c.Rates[1], 0 // that of all others
	all[2].since = c.Joins
	optimizer, err := newOptimizer(config, all[:2], engine, nil)
	if err != nil {
		t.Fatal(err)
	}
	for step, factor := range c.Factors {
		if step == c.Joins {
			joined, err := newOptimizer(config, all, engine, nil)
			if err != nil {
				t.Fatal(err)
			}
			joined.takeOver(optimizer)
			optimizer = joined
		}
		optimizer.config.LearningRate, optimizer.factor = config.LearningRate*factor, factor
		var model []gorgonia.ValueGrad
		for i := range optimizer.parameters {
			gradient := c.Floats(t, fmt.Sprintf("g%d step %d", i, step+1))
			model = append(model, parameterWithGradient{values[i],
				tensor.New(tensor.WithShape(len(gradient)), tensor.WithBacking(gradient))})
		}
		if err := optimizer.Step(model); err != nil {
			t.Fatal(err)
		}
		for i, value := range values {
			name := fmt.Sprintf("p%d step %d", i, step+1)
			goldentest.Compare(t, name, value.Float32s(), c.Floats(t, name), optimizerTolerance)
		}
	}
}

func TestParseRates(t *testing.T) {
	for _, test := range []struct {
		text   string
		rates  []Rate
		others float64
		fault  string
	}{
		{"1e-3", nil, 1e-3, ""},
		{"head=1e-3,*=1e-4", []Rate{{"head", 1e-3}}, 1e-4, ""},
		{"head=1e-3, layer4.*=2e-4, 1e-4", []Rate{{"head", 1e-3}, {"layer4.*", 2e-4}}, 1e-4, ""},
		{"head=1e-3", []Rate{{"head", 1e-3}}, 0, ""},
		{"*=1e-4,head=1e-3", nil, 0, "head=1e-3 follows the rate of all other parameters"},
		{"1e-4,head=1e-3", nil, 0, "head=1e-3 follows the rate of all other parameters"},
		{"head", nil, 0, `"head" is neither a learning rate nor PATTERN=RATE`},
		{"", nil, 0, `"" is neither`},
		{"head=fast", nil, 0, `"head=fast": the rate is not a number`},
		{"head=0", nil, 0, "learning rate of head: 0; a number above 0 is needed"},
		{"head=NaN", nil, 0, "learning rate of head: NaN"},
		{"=1", nil, 0, "is of an empty pattern"},
		{"0", nil, 0, "0; more than 0 is needed"},
	} {
		rates, others, err := ParseRates(test.text)
		if test.fault != "" {
			if err == nil || !strings.Contains(err.Error(), test.fault) {
				t.Errorf("%q: error is %v, want one with %q", test.text, err, test.fault)
			}
			continue
		}
		if err != nil || !slices.Equal(rates, test.rates) || others != test.others {
			t.Errorf("%q: %v and %v (%v)", test.text, rates, others, err)
		}
	}
}

// In JSON a rate is text, which comes back as it was, and nothing is said of a configuration
// without.
func TestRatesInJSON(t *testing.T) {
	config := Config{FineTune: FineTune{Rates: []Rate{{"head", 1e-3}, {"a=b", 0.1}}}}
	raw, err := json.Marshal(config)
	if err != nil || !strings.Contains(string(raw),
		`"fine_tune":{"rates":["head=0.001","a=b=0.1"]}`) {
		t.Errorf("%s, %v", raw, err)
	}
	var back Config
	if err := json.Unmarshal(raw, &back); err != nil ||
		!slices.Equal(back.FineTune.Rates, config.FineTune.Rates) {
		t.Errorf("%v, %v", back.FineTune, err)
	}
	filled, err := Config{}.WithDefaults(smallNetwork(t))
	if err != nil {
		t.Fatal(err)
	}
	if raw, err = json.Marshal(filled); err != nil || strings.Contains(string(raw), "fine_tune") {
		t.Errorf("%s, %v", raw, err)
	}
}

// The first pattern that matches is a parameter's rate; layers are named as parameters are.
func TestRatesByGroup(t *testing.T) {
	network := networktest.Residual(t, builder.Shape{1, 6, 6}, 3)
	config := Config{FineTune: FineTune{Rates: []Rate{{"head", 1}, {"conv1", 2},
		{"layer3.*.weight", 3}, {"layer3.*", 4}}}}
	config, err := config.WithDefaults(network)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, parameter := range config.updated(network) {
		got[parameter.spec.Name] = parameter.rate
	}
	for name, want := range map[string]float64{
		"fc.weight": 1, "fc.bias": 1, "conv1.weight": 2, "layer1.0.conv1.weight": 0,
		"layer3.0.conv2.weight": 3, "layer3.0.bn2.bias": 4, "bn1.weight": 0,
	} {
		if rate, ok := got[name]; !ok || rate != want {
			t.Errorf("%s: rate %v, want %v", name, rate, want)
		}
	}
}

func TestFineTuneFaults(t *testing.T) {
	network := networktest.Residual(t, builder.Shape{1, 6, 6}, 3)
	for _, test := range []struct {
		config Config
		want   string
	}{
		{Config{FineTune: FineTune{Rates: []Rate{{"fd", 1}}}},
			`learning rate fd=1: network residual has no parameter for it`},
		{Config{FineTune: FineTune{Rates: []Rate{{"fc.*", 1}, {"head", 2}}}},
			`network residual has no parameter for it, or earlier patterns match all`},
		{Config{FineTune: FineTune{Rates: []Rate{{"head", -1}}}}, "a number above 0 is needed"},
		{Config{Freeze: []string{"trunk"}, FineTune: FineTune{Rates: []Rate{{"trunk", 1}}}},
			"all parameters that it is of are frozen"},
		{Config{FineTune: FineTune{FreezeUntil: 3}},
			"nothing is frozen, and is to be until epoch 3"},
		{Config{Freeze: []string{"trunk"}, FineTune: FineTune{FreezeUntil: 1}},
			"frozen until epoch 1; epochs count from 1"},
		{Config{Freeze: []string{"*"}}, "leaves no parameter of network residual to train"},
		{Config{FineTune: FineTune{Head: "conv1"}},
			"head: network residual: layer conv1 is no classifier"},
		{Config{FineTune: FineTune{Features: "some"}},
			`features "some"; there are auto, once, never`},
		{Config{FineTune: FineTune{Features: FeaturesOnce}},
			"features cannot be computed once: conv1 is trained"},
		{Config{Freeze: []string{"trunk"}, FineTune: FineTune{Features: FeaturesOnce}},
			"features cannot be computed once: bn1 takes each batch's own statistics"},
	} {
		if _, err := test.config.WithDefaults(network); err == nil ||
			!strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error is %v, want one with %q", test.config.FineTune, err, test.want)
		}
	}
}
