package builder

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Settings at the ends of their ranges are taken, and those beyond them refused.
func TestRangesOfSettings(t *testing.T) {
	for _, test := range []struct {
		layer Layer
		says  string
	}{
		{BatchNorm{Momentum: 1}, ""},
		{BatchNorm{Momentum: 1e-9}, ""},
		{BatchNorm{Momentum: 1.0001}, "outside 0 < m ≤ 1"},
		{BatchNorm{Momentum: -0.1}, "outside 0 < m ≤ 1"},
		{BatchNorm{Momentum: math.NaN()}, "outside 0 < m ≤ 1"},
		{ELU{Alpha: 1e-30}, ""},
		{ELU{Alpha: 1e-60}, "a number above 0"}, // 0 as a float32
		{ELU{Alpha: -1}, "a number above 0"},
		{Conv2D{Filters: 1, Kernel: Square(1), Init: Normal(mostDrawn)}, ""},
		{Conv2D{Filters: 1, Kernel: Square(1), Init: Normal(1.001 * mostDrawn)}, "is a slip"},
	} {
		_, err := New("n", Shape{3, 4, 4}, test.layer)
		if test.says == "" && err != nil || test.says != "" &&
			(err == nil || !strings.Contains(err.Error(), test.says)) {
			t.Errorf("%+v: error %v, want %q", test.layer, err, test.says)
		}
	}
}

// The variance of a single value is not known: the running one stays as it is, and is not a NaN.
func TestBatchNormOfOneValue(t *testing.T) {
	layer := BatchNorm{Momentum: 0.25}
	mean, variance := []float32{1}, []float32{3}
	layer.update(mean, variance, 0, 5, 0, 1)
	if mean[0] != 2 || variance[0] != 3 {
		t.Errorf("of one value the mean becomes %v, the variance %v; want 2 and 3", mean[0], variance[0])
	}
	layer.update(mean, variance, 0, 2, 4, 2)
	if mean[0] != 2 || variance[0] != 3*0.75+0.25*4*2 {
		t.Errorf("of two values the mean becomes %v, the variance %v; want 2 and 4.25", mean[0],
			variance[0])
	}
}

// The fans of a convolution count its window, and the inputs of a group.
func TestFansOfAConvolution(t *testing.T) {
	network, err := New("n", Shape{6, 9, 9}, Conv2D{Filters: 8, Kernel: Size{3, 5}, Groups: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, tensor := range network.Tensors() {
		if tensor.FanIn != 3*15 || tensor.FanOut != 8*15 && tensor.FanOut != 0 {
			t.Errorf("%s has the fans %d and %d, want 45 and 120", tensor.Name, tensor.FanIn, tensor.FanOut)
		}
	}
	if weight := network.Tensors()[0]; weight.FanOut != 120 {
		t.Errorf("%s has the fan out %d, want 120", weight.Name, weight.FanOut)
	}
}

// A value of another graph has no shape in this one, nor does one after a mistake.
func TestShapesOfValues(t *testing.T) {
	one, other := NewGraph("one", Shape{4}), NewGraph("other", Shape{9})
	in, dense := one.Input(), one.Then(one.Input(), Dense{Units: 3})
	if got := one.Shape(in); !slices.Equal(got, Shape{4}) {
		t.Errorf("the input is %v", got)
	}
	if got := one.Shape(dense); !slices.Equal(got, Shape{3}) {
		t.Errorf("the layer's output is %v", got)
	}
	if got := one.Shape(other.Input()); got != nil {
		t.Errorf("another graph's input is %v here", got)
	}
	if got := other.Shape(dense); got != nil {
		t.Errorf("another graph's layer is %v there", got)
	}
	wrong := one.Then(dense, Conv2D{Filters: 1, Kernel: Square(3)})
	if got := one.Shape(wrong); got != nil && !slices.Equal(got, Shape{4}) {
		t.Errorf("after a mistake the output is %v", got)
	}
	if _, err := one.Network(dense); err == nil {
		t.Error("a graph with a mistake is a network")
	}
	if _, err := other.Network(other.Join(Add{}, other.Input(), one.Input())); err == nil ||
		!strings.Contains(err.Error(), "takes a value of another graph") {
		t.Errorf("a value of another graph: %v", err)
	}
}

// A network that is no network leaves the one that it was read into as it is.
func TestReadingWhatIsNoNetwork(t *testing.T) {
	network, err := New("n", Shape{4}, Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	before := network.String()
	for _, raw := range []string{`{"name": "n"}`, `[]`,
		`{"name": "n", "input": [4], "layers": [{"dense": {"units": -1}}]}`} {
		if err := json.Unmarshal([]byte(raw), network); err == nil || network.String() != before {
			t.Errorf("%s: error %v, and the network is %v", raw, err, network)
		}
	}
}

// As many layers as are allowed are read, and one more is not.
func TestMostLayers(t *testing.T) {
	file := func(layers int) string {
		return `{"name": "n", "input": [4], "layers": [` + strings.TrimSuffix(strings.Repeat(`"relu", `,
			layers), ", ") + `]}`
	}
	if _, err := ParseNetwork([]byte(file(maxLayers + 1))); err == nil ||
		!strings.Contains(err.Error(), "at most 10,000") {
		t.Errorf("%d layers: %v", maxLayers+1, err)
	}
	if testing.Short() {
		t.Skip("10,000 layers take seconds under the race detector")
	}
	if _, err := ParseNetwork([]byte(file(maxLayers))); err != nil {
		t.Errorf("%d layers: %v", maxLayers, err)
	}
}

// Lists and mappings as deep as are allowed are read.
func TestMostDepth(t *testing.T) {
	// The layer's own place is four deep: the network, its layers, the layer, its fields.
	for _, test := range []struct {
		depth int
		deep  bool
	}{{maxDepth - 10, false}, {maxDepth + 1, true}} {
		nested := strings.Repeat("[", test.depth) + strings.Repeat("]", test.depth)
		_, err := ParseNetwork(
			[]byte(fmt.Sprintf(`{"name": "n", "input": [4], "layers": [{"dense": {"units": %s}}]}`, nested)))
		if err == nil || strings.Contains(err.Error(), "inside of each other") != test.deep {
			t.Errorf("%d lists: %v", test.depth, err)
		}
	}
}

// The classifier is looked for from the output back, and only there.
func TestWhereTheHeadIsLookedFor(t *testing.T) {
	chain := func(layers ...Layer) *Network {
		network, err := New("n", Shape{4, 6, 6}, layers...)
		if err != nil {
			t.Fatal(err)
		}
		return network
	}
	for _, test := range []struct {
		network *Network
		says    string
	}{
		{chain(Conv2D{Filters: 4, Kernel: Square(3)}, BatchNorm{}, Flatten{}), "has no classifier"},
		{chain(Conv2D{Filters: 4, Kernel: Square(3), Groups: 2}, GlobalAvgPool{}), "has no classifier"},
		{chain(Conv2D{Filters: 4, Kernel: Square(3), Groups: 1}, GlobalAvgPool{}), ""},
		{chain(ReLU{}, Flatten{}), "has no classifier"},
	} {
		_, err := test.network.Head("")
		if test.says == "" && err != nil || test.says != "" &&
			(err == nil || !strings.Contains(err.Error(), test.says)) {
			t.Errorf("%v: error %v, want %q", test.network, err, test.says)
		}
	}
	network, _, err := chain(Flatten{}, Dense{Units: 3}).WithHead(1, "")
	if err != nil {
		t.Fatal(err)
	}
	if classes, err := network.Classes(); err != nil || classes != 1 {
		t.Errorf("a classifier of one class has %d: %v", classes, err)
	}
	if _, _, err := chain(Flatten{}, Dense{Units: 3}).WithHead(0, ""); err == nil {
		t.Error("a classifier of no class")
	}
}

// What JSON calls the fields of a layer are those that it reads.
func TestNamesOfFields(t *testing.T) {
	type embedded struct{ Deep int }
	type layer struct {
		embedded
		Plain   int
		Tagged  int `json:"tagged,omitempty"`
		Left    int `json:"-"`
		private int
	}
	_ = layer{private: 1}
	if got, want := fieldNames(reflect.TypeFor[layer]()),
		[]string{"Deep", "Plain", "tagged"}; !slices.Equal(got, want) {
		t.Errorf("the fields are %v, want %v", got, want)
	}
	if got := fieldNames(reflect.TypeFor[int]()); got != nil {
		t.Errorf("a number has the fields %v", got)
	}
}

func TestWhatBelongsInAField(t *testing.T) {
	for want, kinds := range map[string][]reflect.Type{
		"a whole number in range": {reflect.TypeFor[int](), reflect.TypeFor[int64](),
			reflect.TypeFor[uint](), reflect.TypeFor[uint64]()},
		"a number in range":                  {reflect.TypeFor[float32](), reflect.TypeFor[float64]()},
		"true or false":                      {reflect.TypeFor[bool]()},
		"a list":                             {reflect.TypeFor[[]int](), reflect.TypeFor[[2]int]()},
		"a text":                             {reflect.TypeFor[string]()},
		"what belongs here (map[string]int)": {reflect.TypeFor[map[string]int]()},
		"what belongs here (uintptr)":        {reflect.TypeFor[uintptr]()},
	} {
		for _, kind := range kinds {
			if got := describeType(kind); got != want {
				t.Errorf("of %v belongs %q, want %q", kind, got, want)
			}
		}
	}
}

// A text of a file is shown whole up to 60 letters.
func TestHowMuchOfATextIsShown(t *testing.T) {
	for text, want := range map[string]string{
		"a":                     `"a"`,
		strings.Repeat("ä", 60): `"` + strings.Repeat("ä", 60) + `"`,
		strings.Repeat("ä", 61): `"` + strings.Repeat("ä", 60) + `…"`,
	} {
		if got := quote(text); got != want {
			t.Errorf("%s is shown as %s, want %s", text, got, want)
		}
	}
}

// A case is called by its settings that say something, a list of numbers too.
func TestSettingsThatSayNothing(t *testing.T) {
	for _, test := range []struct {
		value any
		want  bool
	}{
		{nil, true}, {"", true}, {0.0, true}, {false, true}, {map[string]any{}, true},
		{map[string]any{"height": 0.0, "width": nil}, true},
		{map[string]any{"height": 0.0, "width": 2.0}, false},
		{"gamma", false}, {-1.0, false}, {true, false}, {[]any{0.0, 1.0}, false},
	} {
		if got := isZero(test.value); got != test.want {
			t.Errorf("%#v: %v, want %v", test.value, got, test.want)
		}
	}
}

// A scale is described by its first value, where that is not 1.
func TestDescriptionsOfScales(t *testing.T) {
	for init, want := range map[float64]string{0: "", 1: "", 0.5: "init=0.5", -1: "init=-1"} {
		network, err := New("n", Shape{3}, Scale{Init: init})
		if err != nil {
			t.Fatal(err)
		}
		if got := network.Nodes()[0].Layer.(Scale).Describe(); got != want {
			t.Errorf("init %v is described as %q, want %q", init, got, want)
		}
	}
}

// At 0 the gradient of PReLU is that of its left side, as PyTorch has it.
func TestPReLUAtZero(t *testing.T) {
	shape := Shape{3}
	call := Call{Batch: 1, Inputs: []Shape{shape}, Output: shape}
	computation, err := PReLU{Shared: true}.Compute(call)
	if err != nil {
		t.Fatal(err)
	}
	dx, slope := make([]float32, 3), make([]float32, 1)
	in := [][]float32{{-2, 0, 2}, {0.25}}
	if err := computation.Backward([][]float32{dx, slope}, []float32{1, 4, 8}, nil, in); err != nil {
		t.Fatal(err)
	}
	if want := []float32{0.25, 1, 8}; !slices.Equal(dx, want) || slope[0] != -2 {
		t.Errorf("the gradients are %v and %v, want %v and -2", dx, slope[0], want)
	}
}

// A name that is too long is not compared, and too many names are not listed.
func TestSuggestions(t *testing.T) {
	long := strings.Repeat("a", 99)
	if got := suggest(long+"x", []string{long + "b"}); !strings.Contains(got, "did you mean") {
		t.Errorf("of 100 letters: %q", got)
	}
	if got := suggest(long+"xy", []string{long + "xb"}); strings.Contains(got, "did you mean") {
		t.Errorf("of 101 letters: %q", got)
	}
	names := strings.Split(strings.Repeat("zzz ", 60), " ")[:60]
	if got := suggest("q", names); !strings.HasPrefix(got, "; there are zzz") {
		t.Errorf("of 60 names: %q", got)
	}
	if got := suggest("q", append(names, "zzz")); got != "" {
		t.Errorf("of 61 names: %q", got)
	}
}

func TestPlacesInAGraph(t *testing.T) {
	g := NewGraph("n", Shape{4})
	g.Then(g.Input(), Dense{Units: -1})
	if _, err := g.Network(g.Input()); err == nil || !strings.Contains(err.Error(), "layer 1: ") {
		t.Errorf("a graph says %v", err)
	}
	if _, err := New("n", Shape{4}, Dense{Units: -1}); err == nil ||
		!strings.Contains(err.Error(), "layer 1 of 1: ") {
		t.Errorf("a chain says %v", err)
	}
	if _, err := New("n", Shape{4}); err == nil || !strings.Contains(err.Error(), "has no layers") {
		t.Errorf("without layers: %v", err)
	}
}

// A mapping in YAML is as deep as a list in JSON may be, and no deeper; what names an input is a
// name.
func TestWhatYAMLMayHold(t *testing.T) {
	nested := strings.Repeat("{a: ", maxDepth+5) + "1" + strings.Repeat("}", maxDepth+5)
	_, err := ParseNetwork([]byte("name: n\ninput: [4]\nlayers:\n- dense: {units: " + nested + "}\n"))
	if err == nil || !strings.Contains(err.Error(), "inside of each other") {
		t.Errorf("%d mappings: %v", maxDepth+5, err)
	}
	for _, inputs := range []string{"[[a]]", "[null]", "[{a: b}]"} {
		_, err := ParseNetwork(
			[]byte("name: n\ninput: [4]\nlayers:\n- dense: {units: 3}\n- relu: {inputs: " + inputs + "}\n"))
		if err == nil || !strings.Contains(err.Error(), "is no layer's name") {
			t.Errorf("inputs %s: %v", inputs, err)
		}
	}
}

func TestTheLogisticFunctionOfLargeNumbers(t *testing.T) {
	for x, want := range map[float64]float64{1000: 1, -1000: 0, 0: 0.5, 40: 1} {
		if got := logistic(x); math.Abs(got-want) > 1e-15 {
			t.Errorf("σ(%g) is %g, want %g", x, got, want)
		}
	}
	if got := logistic(-700); !(got > 0) {
		t.Errorf("σ(−700) is %g", got)
	}
}
