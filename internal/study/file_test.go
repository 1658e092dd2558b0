package study

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/train"
)

func writeStudy(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mine.yaml")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// runsOf are the runs of a study with that text.
func runsOf(t *testing.T, text string) []Run {
	t.Helper()
	file, err := ReadFile(writeStudy(t, text))
	if err == nil {
		err = file.Load(t.Context(), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	runs, err := file.Runs()
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

// A slip in a study file is an error that names the file and the line, and what
// would be right.
func TestBadStudyFiles(t *testing.T) {
	const ten = "0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9"
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"empty":   {"", []string{"mine.yaml: the file is empty"}},
		"no YAML": {"grid: [", []string{"mine.yaml", "line 1"}},
		"two documents": {"grid: {dropout: [0]}\n---\nseeds: 2\n",
			[]string{"more than one YAML document"}},
		"a list": {"- grid\n", []string{"mine.yaml:1", "a study is a mapping"}},
		"unknown key": {"question: why?\ngird: {dropout: [0]}\n",
			[]string{"mine.yaml:2", `no key "gird"; did you mean "grid"`}},
		"key twice": {"seeds: 1\ngrid: {dropout: [0]}\nseeds: 2\n",
			[]string{"mine.yaml:3", `"seeds" is already on line 1`}},
		"nothing varies": {"seeds: 3\n", []string{"mine.yaml:1", "nothing varies"}},
		"seeds below 1": {"grid: {dropout: [0]}\nseeds: 0\n",
			[]string{"mine.yaml:2", "0; at least 1"}},
		"seeds of words": {"grid: {dropout: [0]}\nseeds: [one]\n",
			[]string{"mine.yaml:2", "a whole number from 0 on"}},
		"too many seeds": {"grid: {dropout: [0]}\nseeds: 9223372036854775807\n",
			[]string{"mine.yaml:2", "9223372036854775807; at most 1000000"}},
		"no seeds": {"grid: {dropout: [0]}\nseeds: []\n",
			[]string{"mine.yaml:2", "at least one"}},
		"seed twice": {"grid: {dropout: [0]}\nseeds:\n- 1\n- 2\n- 1\n",
			[]string{"mine.yaml:5", "the seed 1 is already on line 3"}},
		"entry without seeds": {"list:\n- name: a\n  seeds: []\n",
			[]string{"mine.yaml:3", "at least one"}},
		"threads of words": {"threads: many\ngrid: {dropout: [0]}\n",
			[]string{"mine.yaml:1", `"many" is not a whole number`}},
		"unknown setting": {"grid:\n  dropout: [0]\n  learning_rat: [1]\n",
			[]string{"mine.yaml:3", `no setting "learning_rat"; did you mean "learning_rate"`}},
		"unknown fixed": {"grid: {dropout: [0]}\nfixed:\n  epoch: 2\n",
			[]string{"mine.yaml:3", `did you mean "epochs"`}},
		"the study's own": {"grid: {seed: [1, 2]}\n", []string{"mine.yaml:1", `no setting "seed"`}},
		"no value": {"grid:\n  dropout: [0]\nfixed:\n  epochs:\n",
			[]string{"mine.yaml:4", "value is missing"}},
		"axis of one":  {"grid:\n  dropout: 0.5\n", []string{"mine.yaml:2", "is a list"}},
		"axis of none": {"grid:\n  dropout: []\n", []string{"mine.yaml:2", "at least one entry"}},
		"wrong type": {"grid: {dropout: [0]}\nfixed: {epochs: ten}\n",
			[]string{"mine.yaml:2", "epochs: ten is a text; it needs to be a whole number"}},
		"a number for a text": {"grid: {dropout: [0]}\nfixed: {pixels: 0.5}\n",
			[]string{"mine.yaml:2", `put it in quotes: "0.5"`}},
		"pixels of colour": {"grid:\n  pixels: [imagenet, \"0-1\"]\n",
			[]string{"mine.yaml:2", "feed them as measured"}},
		"half an epoch": {"grid: {dropout: [0]}\nfixed: {epochs: 1.5}\n",
			[]string{"mine.yaml:2", "epochs"}},
		"out of range": {"grid:\n  dropout: [0, 2]\n", []string{"mine.yaml:2", "dropout=2", "2"}},
		"dropout of words": {"grid:\n  dropout: [much]\n",
			[]string{"mine.yaml:2", "dropout much is not a number"}},
		"negative penalty": {"grid:\n  l1: [-1]\n",
			[]string{"mine.yaml:2", "neither may be negative"}},
		"unknown layer": {"grid:\n  activation_penalties.relu9.l1: [1]\n",
			[]string{"mine.yaml:2", `no layer "relu9"`}},
		"fixed out of range": {"grid:\n  dropout: [0]\nfixed:\n  epochs: 2\n  batch_size: -1\n",
			[]string{"mine.yaml:5", "batch size -1"}},
		"entry out of range": {"list:\n- name: a\n  set:\n    momentum: 0.5\n    epochs: 2\n",
			[]string{"mine.yaml:4", "no momentum"}},
		"base below": {"grid: {l1: [0]}\n\nbase: e3\n",
			[]string{"mine.yaml:3", `no base "e3"`}},
		"base below dropout": {"grid: {dropout: [0]}\n\nbase: e3\n",
			[]string{"mine.yaml:3", `no base "e3"`}},
		"unknown base": {"base: e3\ngrid: {l1: [0]}\n",
			[]string{`no base "e3"; did you mean "e1"`}},
		"setting twice": {"list:\n- name: a\n- name: a\n",
			[]string{"mine.yaml:3", `two settings "a"`, "line 2"}},
		"entry without name": {"list:\n- set: {l1: 1}\n", []string{"mine.yaml:2", "needs a name"}},
		"entry's key":        {"list:\n- nam: a\n", []string{"mine.yaml:2", `did you mean "name"`}},
		"experiment's name": {"networks: {e1: [Flatten]}\ngrid: {l1: [0]}\n",
			[]string{"mine.yaml:1", "give yours another name"}},
		"unknown layer kind": {"networks:\n  n:\n  - flaten\ngrid: {l1: [0]}\n",
			[]string{"mine.yaml:3", `no layer "flaten"; did you mean "Flatten"`}},
		"layer's field": {"networks:\n  n:\n  - flatten\n  - dense: {unit: 10}\ngrid: {l1: [0]}\n",
			[]string{"mine.yaml:4", "unit"}},
		"layer's input": {"networks:\n  n:\n  - flatten: {name: first}\n  - dense: {units: 10}\n  - dense:\n      units: 10\n      inputs: [frist]\ngrid: {l1: [0]}\n",
			[]string{"mine.yaml:7", `takes "frist"`, `did you mean "first"`}},
		"network's key": {"networks:\n  n:\n    layer: [flatten]\ngrid: {l1: [0]}\n",
			[]string{"mine.yaml:3", `no "layer"`, `"layers"`}},
		"network's name": {"networks:\n  my net: [flatten]\ngrid: {l1: [0]}\n",
			[]string{"mine.yaml:2", `network name "my net"`}},
		"no layers": {"networks:\n  n: {input: [3, 8, 8]}\ngrid: {l1: [0]}\n",
			[]string{"mine.yaml:2", "network n has no layers"}},
		"a branch for nothing": {"networks:\n  n:\n  - flatten\n  - dense: {units: 10}\n  - dense: {units: 10, inputs: [flatten1]}\ngrid: {l1: [0]}\n",
			[]string{"mine.yaml:3", "takes the output of fc1"}},
		"layer too large": {"networks:\n  n:\n  - conv2d: {filters: 2, kernel: 29}\ngrid: {l1: [0]}\n",
			[]string{"mine.yaml:3", "kernel 29×29 is larger"}},
		"no vector": {"networks:\n  n:\n  - conv2d: {filters: 2, kernel: 5}\ngrid: {l1: [0]}\n",
			[]string{"mine.yaml:3", "add Flatten and Dense"}},
		"two layers in one": {"networks:\n  n:\n  - {flatten: {}, relu: {}}\ngrid: {l1: [0]}\n",
			[]string{"mine.yaml:3", "2 kinds"}},
		"no dropout": {"base: n\nnetworks:\n  n:\n  - flatten\n  - dense: {units: 10}\ngrid:\n  dropout: [0.5]\n",
			[]string{"mine.yaml:7", "no Dropout layer"}},
		"corruption": {"grid: {l1: [0]}\nevaluate:\n  robustness: [gausian-noise]\n",
			[]string{"mine.yaml:3", `did you mean "gaussian-noise"`}},
		"evaluate's key": {"grid: {l1: [0]}\nevaluate:\n  robust: [shift]\n",
			[]string{"mine.yaml:3", `no key "robust"`}},
		"random without space": {"random: {settings: 3}\n", []string{"mine.yaml:1", "a space to draw"}},
		"range upside down": {"random:\n  settings: 3\n  space:\n    l1: {log: [1, 0.1]}\n",
			[]string{"mine.yaml:4", "the lower first"}},
		"logarithm of 0": {"random:\n  settings: 3\n  space:\n    l1: {log: [0, 0.1]}\n",
			[]string{"mine.yaml:4", "above 0"}},
		"endless range": {"random:\n  settings: 3\n  space:\n    epochs: {int: [0, .inf]}\n",
			[]string{"mine.yaml:4", "1e+09"}},
		"enormous range": {"random:\n  settings: 3\n  space:\n    epochs: {int: [0, 1e300]}\n",
			[]string{"mine.yaml:4", "1e+09"}},
		"endless numbers": {"random:\n  settings: 3\n  space:\n    l1: {uniform: [0, .inf]}\n",
			[]string{"mine.yaml:4", "1e+09"}},
		"too many settings": {"random:\n  settings: 9223372036854775807\n  space: {l1: {log: [0.1, 1]}}\n",
			[]string{"mine.yaml:2", "at most 1000000"}},
		"a grid of 10^6": {"grid:\n  l1: [" + ten + "]\n  l2: [" + ten + "]\n  dropout: [" +
			ten + "]\n  alpha: [" + ten + "]\n  momentum: [" + ten + "]\n  beta1: [" + ten + "]\n",
			[]string{"mine.yaml:2", "more than 100000 runs"}},
		"settings by seeds": {"grid: {l1: [" + ten + "]}\nseeds: 10001\n",
			[]string{"mine.yaml:1", "more than 100000 runs"}},
		"losses by loss": {"fixed: {validation_fraction: 0.1}\nsearch:\n  trials: 2\n  space: {loss.smoothing: {uniform: [0, 0.2]}}\n",
			[]string{"mine.yaml:4", "the objective validation_accuracy"}},
		"too many trials": {"search:\n  trials: 9223372036854775807\n  space: {l1: {log: [0.1, 1]}}\n",
			[]string{"mine.yaml:2", "at most 1000000"}},
		"search and grid": {"grid: {l1: [0]}\nsearch:\n  trials: 2\n  space: {l1: {log: [0.1, 1]}}\n",
			[]string{"a search goes alone"}},
		"search by the test": {"search:\n  trials: 2\n  objective: test_accuracy\n  space: {l1: {log: [0.1, 1]}}\n",
			[]string{"mine.yaml:3", "the test set has no say"}},
		"nothing held out": {"search:\n  trials: 2\n  space: {l1: {log: [0.1, 1]}}\n",
			[]string{"mine.yaml:2", "validation_fraction"}},
		"search of seeds": {"seeds: 3\nfixed: {validation_fraction: 0.1}\nsearch:\n  trials: 2\n  space: {l1: {log: [0.1, 1]}}\n",
			[]string{"mine.yaml:4", "one seed"}},
		"end of a space": {"fixed: {validation_fraction: 0.1}\nsearch:\n  trials: 2\n  space:\n    dropout: {uniform: [0, 1]}\n",
			[]string{"mine.yaml:5", "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadFile(writeStudy(t, test.text))
			if err == nil {
				t.Fatal("was accepted")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
		})
	}
}

// A study's networks are graphs, whose dropout varies in its place.
func TestDropoutOfAGraph(t *testing.T) {
	runs := runsOf(t, `
base: residual
networks:
  residual:
    input: [3, 8, 8]
    layers:
    - conv2d: {name: stem, filters: 4, kernel: 3, padding: 1}
    - relu
    - dropout: {p: 0.5}
    - conv2d: {filters: 4, kernel: 3, padding: 1}
    - add: {inputs: [conv1, stem]}
    - flatten
    - dense: {units: 3}
grid: {dropout: [0.1, 0.3]}
`)
	for i, p := range []float64{0.1, 0.3} {
		network := runs[i].Spec.Network
		dropout, _ := network.Node("dropout1")
		if got := dropout.Layer.(builder.Dropout).P; got != p {
			t.Errorf("run %d has dropout %v, want %v", i, got, p)
		}
		if add, _ := network.Node("add1"); !slices.Equal(add.Inputs, []int{3, 0}) {
			t.Errorf("run %d: the sum takes %v", i, add.Inputs)
		}
	}
}

func TestAStudyIsNamedAfterItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "My Study.yaml")
	if err := os.WriteFile(path, []byte("grid: {dropout: [0]}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), "small letters") {
		t.Errorf("%v", err)
	}
}

// Settings come in the file's order, the later key of a grid varying first, and each
// has what base, fixed and set say, the later before the earlier.
func TestRunsOfAStudy(t *testing.T) {
	runs := runsOf(t, `
base: e2
fixed: {epochs: 3, optimizer: {name: adamw, weight_decay: 0.02}}
list:
- name: base
- name: mine
  set: {base: small, l1: 0.5}
  seeds: [7]
grid: {dropout: [0, 0.2], learning_rate: [0.1, 1e-4]}
seeds: 2
networks:
  small:
  - conv2d: {filters: 2, kernel: [5, 3], stride: 2}
  - ReLU
  - flatten
  - dense: {units: 10}
`)
	var names []string
	for _, run := range runs {
		names = append(names, run.Setting)
	}
	want := []string{"base", "base", "mine"}
	for _, setting := range []string{"dropout=0, learning_rate=0.1", "dropout=0, learning_rate=0.0001",
		"dropout=0.2, learning_rate=0.1", "dropout=0.2, learning_rate=0.0001"} {
		want = append(want, setting, setting)
	}
	if !slices.Equal(names, want) {
		t.Fatalf("runs %q\nwant %q", names, want)
	}
	base, mine, last := runs[1], runs[2], runs[len(runs)-1]
	if c := base.Spec.Config; base.Seed != 1 || c.Seed != 1 || c.Epochs != 3 ||
		c.Optimizer.Name != "adamw" || c.Optimizer.WeightDecay != 0.02 ||
		c.ParameterPenalty.L1 != 0.001 || c.ParameterPenalty.L2 != 0.001 ||
		base.Spec.Network.Name() != "e2" {
		t.Errorf("base is %+v", base)
	}
	// A network of one's own has no protocol: no penalties but those given.
	if c := mine.Spec.Config; mine.Seed != 7 || c.ParameterPenalty.L1 != 0.5 ||
		c.ParameterPenalty.L2 != 0 || mine.Spec.Network.Name() != "small" ||
		mine.Values["base"] != "small" || mine.Spec.Network.ParameterCount() != 2*(5*3)+2+10*(2*12*13)+
		10 {
		t.Errorf("mine is %+v: %s", mine, mine.Spec.Network)
	}
	if c := last.Spec.Config; c.Optimizer.LearningRate != 1e-4 || last.Values["dropout"] != 0.2 {
		t.Errorf("the last is %+v", last)
	}
	// Without dropout E2's network is E1's.
	if runs[3].Spec.Network.Name() != "e1" {
		t.Errorf("dropout=0 has the network %s", runs[3].Spec.Network.Name())
	}
}

// The same configuration has the same address wherever it comes from, and another
// has another.
func TestAddresses(t *testing.T) {
	address := func(text string) string {
		t.Helper()
		file, err := ReadFile(writeStudy(t, text))
		if err != nil {
			t.Fatal(err)
		}
		runs, err := file.Runs()
		if err != nil {
			t.Fatal(err)
		}
		id, err := runs[0].Spec.id("training", "test")
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	e1 := address("grid: {dropout: [0]}\n")
	for _, same := range []string{
		"base: e1\nlist: [{name: E1, set: {epochs: 10, l1: 0}}]\n",
		"base: e2\nlist: [{name: E1, set: {l1: 0, l2: 0, dropout: 0}}]\n",
		"grid: {optimizer: [adam]}\nfixed: {learning_rate: 0.001}\nparallel: 3\nevaluate: {robustness: [shift]}\n",
	} {
		if id := address(same); id != e1 {
			t.Errorf("%q has the address %s, E1 has %s", same, id, e1)
		}
	}
	seen := map[string]string{e1: "E1"}
	for _, other := range []string{
		"grid: {dropout: [0.5]}\n", "grid: {dropout: [0.2]}\n", "grid: {epochs: [9]}\n",
		"grid: {dropout: [0]}\nseeds: [1]\n",
		"grid: {dropout: [0]}\nseeds: [9007199254740993]\n",
		"grid: {dropout: [0]}\nseeds: [9007199254740992]\n",
		"grid: {pixels: [0-1]}\n", "grid: {optimizer: [adamw]}\n", "grid: {until_loss: [0.3]}\n",
	} {
		id := address(other)
		if same, taken := seen[id]; taken {
			t.Errorf("%q has the address of %q", other, same)
		}
		seen[id] = other
	}
}

// Random settings are the same each time, and inside of their ranges.
func TestRandomSettings(t *testing.T) {
	draw := func(seed string) []Run {
		t.Helper()
		file, err := ReadFile(writeStudy(t, "random:\n  settings: 40\n  seed: "+seed+`
  space:
    learning_rate: {log: [0.0001, 0.01]}
    dropout: {uniform: [0.1, 0.6]}
    epochs: {int: [2, 4]}
    optimizer: {choice: [adam, adamw]}
`))
		if err != nil {
			t.Fatal(err)
		}
		runs, err := file.Runs()
		if err != nil {
			t.Fatal(err)
		}
		return runs
	}
	runs, again, other := draw("0"), draw("0"), draw("1")
	epochs, small := make(map[any]int), 0
	for i, run := range runs {
		if run.Setting != again[i].Setting {
			t.Fatalf("setting %d is %s once, %s the other time", i, run.Setting, again[i].Setting)
		}
		rate, dropout := run.Values["learning_rate"].(float64), run.Values["dropout"].(float64)
		if rate < 0.0001 || rate > 0.01 || dropout < 0.1 || dropout > 0.6 {
			t.Errorf("%s is outside of its space", run.Setting)
		}
		if rate < 0.001 {
			small++
		}
		epochs[run.Values["epochs"]]++
	}
	if runs[0].Setting == other[0].Setting {
		t.Error("another seed draws the same")
	}
	if len(epochs) != 3 || epochs[2.0] == 0 || epochs[4.0] == 0 {
		t.Errorf("epochs drawn: %v, want 2, 3 and 4", epochs)
	}
	// The logarithm's half is 0.001.
	if small < 10 || small > 30 {
		t.Errorf("%d of 40 learning rates are in the lower half of the logarithm", small)
	}
}

// The studies of the repository are read, in both forms.
func TestTheRepositorysStudies(t *testing.T) {
	paths, err := filepath.Glob("../../experiments/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no studies: %v", err)
	}
	for _, path := range paths {
		file, err := ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if file.Question == "" {
			t.Errorf("%s asks no question", path)
		}
		full, err := file.Runs()
		if err != nil {
			t.Error(err)
		}
		file.Shorten()
		short, err := file.Runs()
		if err != nil {
			t.Error(err)
		}
		for _, run := range short {
			if run.Spec.Config.Epochs > file.Quick.Epochs {
				t.Errorf("%s: the short form of %s has %d epochs", path, run.Setting, run.Spec.Config.Epochs)
			}
		}
		if len(short) > len(full) || file.Images > file.Quick.Images {
			t.Errorf("%s: the short form has %d runs of %d images, the full form %d runs", path, len(short),
				file.Images, len(full))
		}
	}
}

// What is frozen and what decays are settings as others are.
func TestFreezeAndDecayAreSettings(t *testing.T) {
	runs := runsOf(t, `
fixed: {freeze: ["conv1.*", "*.bias"], epochs: 1}
grid: {decay: [all, weights]}
`)
	for i, decay := range []string{train.DecayAll, train.DecayWeights} {
		if c := runs[i].Spec.Config; c.Decay != decay ||
			!slices.Equal(c.Freeze, []string{"conv1.*", "*.bias"}) {
			t.Errorf("run %d has decay %q and freeze %q", i, c.Decay, c.Freeze)
		}
	}
}

// Losses are settings, too, and their class weights one value; so are mixing and sampling.
func TestLossesAreSettings(t *testing.T) {
	runs := runsOf(t, `
fixed: {loss.name: focal, loss.gamma: 3, epochs: 1, mix.mixup: 0.2, mix.probability: 0.5, sampling: balanced}
grid:
  loss.class_weights: [balanced, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]
  loss.smoothing: [0, 0.1]
`)
	ids := make(map[string]bool)
	for i, run := range runs {
		loss := run.Spec.Config.Loss
		weights := train.ClassWeights{Balanced: true}
		if i >= 2 {
			weights = train.ClassWeights{Values: []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}}
		}
		if loss.Name != train.LossFocal || loss.Gamma != 3 ||
			loss.ClassWeights.String() != weights.String() || loss.Smoothing != []float64{0, 0.1}[i%2] {
			t.Errorf("run %d has the loss %+v", i, loss)
		}
		if c := run.Spec.Config; c.Mix != (train.Mix{MixUp: 0.2, Probability: 0.5}) ||
			c.Sampling != train.SamplingBalanced {
			t.Errorf("run %d mixes %+v and has the sampling %q", i, c.Mix, c.Sampling)
		}
		id, err := run.Spec.id("training", "test")
		if err != nil {
			t.Fatal(err)
		}
		ids[id] = true
	}
	if len(runs) != 4 || len(ids) != 4 {
		t.Errorf("%d runs with %d addresses, want 4", len(runs), len(ids))
	}
}
