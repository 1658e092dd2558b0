package builder_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"slipway/builder"
	"slipway/internal/cputime"
)

// oneOfEach holds every kind of layer that a chain of one input can have, no field at its zero
// value.
func oneOfEach(t testing.TB) *builder.Network {
	t.Helper()
	return mustNew(t, "every-kind", builder.Shape{2, 13, 11},
		builder.Conv2D{Name: "c", Filters: 3, Kernel: builder.Size{Height: 3, Width: 2},
			Stride: builder.Size{Height: 1, Width: 2}, Padding: builder.Size{Height: 2, Width: 1}},
		builder.ReLU{Name: "r"},
		builder.MaxPool2D{Name: "m", Kernel: builder.Size{Height: 3, Width: 2},
			Stride: builder.Size{Height: 2, Width: 1}, Padding: builder.Size{Height: 1, Width: 1}},
		builder.AvgPool2D{Name: "a", Kernel: builder.Size{Height: 2, Width: 3},
			Stride: builder.Size{Height: 1, Width: 2}, Padding: builder.Size{Height: 1, Width: 1}},
		builder.Flatten{Name: "f"},
		builder.Dense{Name: "d", Units: 5},
		builder.Dropout{Name: "o", P: 0.125},
		builder.Softmax{Name: "s"},
	)
}

func TestNetworksSurviveJSON(t *testing.T) {
	network := oneOfEach(t)
	raw, err := json.Marshal(network)
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range []string{string(raw),
		`{"network":` + string(raw) + `,"config":{"seed":1}}`} {
		back, err := builder.ParseNetwork([]byte(document))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, network) {
			t.Errorf("read back:\n%v\nwritten:\n%v", back, network)
		}
	}
}

func TestMadeUpNamesSurviveJSON(t *testing.T) {
	network := mustNew(t, "unnamed", builder.Shape{1, 8, 8}, builder.ReLU{},
		builder.MaxPool2D{Kernel: builder.Square(2)}, builder.Flatten{}, builder.Dense{Units: 2})
	raw, err := json.Marshal(network)
	if err != nil {
		t.Fatal(err)
	}
	back, err := builder.ParseNetwork(raw)
	if err != nil {
		t.Fatal(err)
	}
	if back.String() != network.String() {
		t.Errorf("read back:\n%v\nwritten:\n%v", back, network)
	}
	again, err := json.Marshal(back)
	if err != nil {
		t.Fatal(err)
	}
	if string(again) != string(raw) {
		t.Errorf("written again:\n%s\nfirst:\n%s", again, raw)
	}
}

// Who writes a network by hand leaves out what has a default.
func TestNetworksByHand(t *testing.T) {
	got, err := builder.ParseNetwork([]byte(`{"name": "own", "input": [3, 8, 8], "layers": [
		{"kind": "Conv2D", "layer": {"filters": 16, "kernel": {"height": 3, "width": 3}}},
		{"kind": "ReLU"},
		{"kind": "MaxPool2D", "layer": {"kernel": {"height": 2, "width": 2}}},
		{"kind": "Flatten"},
		{"kind": "Dense", "layer": {"units": 3}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := mustNew(t, "own", builder.Shape{3, 8, 8},
		builder.Conv2D{Filters: 16, Kernel: builder.Square(3)}, builder.ReLU{},
		builder.MaxPool2D{Kernel: builder.Square(2)}, builder.Flatten{}, builder.Dense{Units: 3})
	if got.String() != want.String() {
		t.Errorf("it is\n%v\nwant\n%v", got, want)
	}
}

func TestParseNetworkRejects(t *testing.T) {
	good, err := json.Marshal(oneOfEach(t))
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) string {
		changed := strings.Replace(string(good), old, new, 1)
		if changed == string(good) {
			t.Fatalf("%s has no %s", good, old)
		}
		return changed
	}
	for _, test := range []struct{ name, document, want string }{
		{"nothing", "", "the file is empty"},
		{"a word", "hello", `a network is "hello"; give a mapping`},
		{"bytes", "\xff\xfe", "neither JSON nor YAML"},
		{"a list", "[]", "line 1, column 1: a network is a list"},
		{"an empty object", "{}", "network name"},
		{"truncated", string(good[:len(good)-2]), "is not JSON: unexpected EOF"},
		{"a second document", "name: x\n---\nname: y\n", "line 2, column 1: a second YAML document"},
		{"unknown kind", replace(`"kind":"ReLU"`, `"kind":"RelUs"`),
			`layer 2 of 8: there is no layer "RelUs"; did you mean "ReLU"`},
		{"unknown field of the network",
			replace(`"name":"every-kind"`, `"name":"every-kind","version":2`),
			`a network has no "version"; there are name, input, layers`},
		{"unknown field of a layer", replace(`"units":5`, `"units":5,"no_bas":false`),
			`layer 6 of 8 (Dense): has no field "no_bas"; did you mean "no_bias"`},
		{"another kind's field", replace(`"p":0.125`, `"units":3`),
			`layer 7 of 8 (Dropout): has no field "units"`},
		{"a field of another type", replace(`"units":5`, `"units":"5"`),
			`layer 6 of 8 (Dense): units: "5" is not a whole number`},
		{"half a unit", replace(`"units":5`, `"units":5.5`), `units: "5.5" is not a whole number`},
		{"no value", replace(`"units":5`, `"units":null`), "units has no value"},
		{"no size", replace(`{"height":3,"width":2}`, `[3]`),
			"kernel: a size is one number, [HEIGHT, WIDTH], or"},
		{"another size", replace(`{"height":3,"width":2}`, `{"height":3,"depth":2}`),
			"kernel: a size is one number"},
		{"a shape of words", replace("[2,13,11]", `[2,"a",11]`),
			"input: its entry, a string, is not a whole number"},
		{"a layer without its fields", `{"name":"x","input":[4],"layers":[{"kind":"Dense"}]}`,
			"(Dense fc1)"},
		{"a layer of null", `{"name":"x","input":[4],"layers":[null]}`, "layer 1 of 1"},
		{"a layer of numbers", `{"name":"x","input":[4],"layers":[[3]]}`, "is a list; a layer is KIND"},
		{"two kinds in one", "name: x\ninput: [4]\nlayers:\n- {relu: {}, softmax: {}}\n",
			"line 4, column 3: network x, layer 1 of 1: is 2 kinds"},
		{"a shape that does not fit", replace(`"units":5`, `"units":-5`), "(Dense d)"},
		{"no layers", `{"name":"x","input":[4],"layers":[]}`, "has no layers"},
		{"layers forgotten", `{"name":"x","input":[4]}`, "has no layers"},
		{"a key twice", `{"name":"x","name":"y"}`, `has the key "name" twice, first on line 1`},
		{"a field twice", "name: x\ninput: [4]\nlayers:\n- dense:\n    units: 2\n    units: 3\n",
			`line 6, column 5: network x, layer 1 of 1 (Dense): Dense has the key "units" twice, first on line 5`},
		{"inputs twice",
			"name: x\ninput: [4]\nlayers:\n- {kind: relu, layer: {inputs: [input]}, inputs: [input]}\n",
			"give them once"},
		{"no inputs", "name: x\ninput: [4]\nlayers:\n- relu: {inputs: []}\n", "none are named"},
		{"an input of nobody",
			"name: x\ninput: [4]\nlayers:\n- relu: {name: first}\n- add: {inputs: [first,\n    frist]}\n",
			`line 6, column 5: network x, layer 2 of 2 (Add) takes "frist", and no layer before it is called so; did you mean "first"`},
		{"an input that is later",
			"name: x\ninput: [4]\nlayers:\n- add: {inputs: [input, last]}\n- relu: {name: last}\n",
			`takes "last", and no layer before it is called so`},
		{"a layer for nothing", "name: x\ninput: [4]\nlayers:\n- relu\n- relu: {inputs: [input]}\n",
			"takes the output of relu1"},
		{"a name that is a number", "name: x\ninput: [4]\nlayers:\n- relu: {name: 7}\n",
			`line 4, column 16: network x, layer 1 of 1 (ReLU): name: 7 is a number; put it in quotes: "7"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := builder.ParseNetwork([]byte(test.document)); err == nil ||
				!strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want one with %q", err, test.want)
			}
		})
	}
}

// All forms are one format.
func TestShortFormsAreTheLongOnes(t *testing.T) {
	g := builder.NewGraph("block", builder.Shape{3, 8, 8})
	x := g.Then(g.Input(), builder.Conv2D{Name: "stem", Filters: 4, Kernel: builder.Square(3),
		Padding: builder.Square(1), NoBias: true})
	y := g.Then(x, builder.BatchNorm{}, builder.ReLU{},
		builder.Conv2D{Filters: 4, Kernel: builder.Size{Height: 3, Width: 1},
			Padding: builder.Size{Height: 1}})
	x = g.Join(builder.Add{Name: "layer1.0.add"}, y, x)
	want, err := g.Network(g.Then(x, builder.GlobalAvgPool{}, builder.Flatten{},
		builder.Dense{Units: 3, Init: builder.Normal(0.01)}))
	if err != nil {
		t.Fatal(err)
	}
	long, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	for name, document := range map[string]string{
		"long": string(long),
		"YAML": `
name: block
input: [3, 8, 8]
layers:
- conv2d: {name: stem, filters: 4, kernel: 3, padding: 1, no_bias: true}
- BatchNorm
- relu:
- Conv2D: {filters: 4, kernel: [3, 1], padding: [1, 0]}
- add:
    name: layer1.0.add
    inputs: [conv1, stem]
- globalavgpool: {}
- {kind: flatten}
- dense: {units: 3, init: normal=0.01}
`,
		"short JSON with tabs": "{\"network\": {\"name\": \"block\", \"input\": [3, 8, 8], \"layers\": [\n" +
			"\t{\"conv2d\": {\"name\": \"st\\u0065m\", \"filters\": 4, \"kernel\": 3, \"padding\": 1, \"no_bias\": true}},\n" +
			"\t\"batchnorm\", \"relu\",\n" +
			"\t{\"kind\": \"Conv2D\", \"layer\": {\"filters\": 4, \"kernel\": {\"height\": 3, \"width\": 1}, \"padding\": [1, 0]}},\n" +
			"\t{\"kind\": \"add\", \"layer\": {\"name\": \"layer1.0.add\"}, \"inputs\": [\"conv1\", \"stem\"]},\n" +
			"\t\"globalavgpool\", \"flatten\", {\"dense\": {\"units\": 3, \"init\": \"normal=0.01\"}}]},\n" +
			"\t\"sets\": {\"classes\": [\"\\ud83d\\ude00\"]}}",
		"anchors": `
network:
  name: block
  input: [3, 8, 8]
  layers:
  - conv2d: {name: stem, filters: 4, kernel: 3, padding: &one 1, no_bias: yes_it_is}
  - batchnorm
  - relu
  - conv2d: {filters: 4, kernel: {height: 3, width: 1}, padding: {height: *one, width: 0}}
  - add: {name: layer1.0.add, inputs: [conv1, stem]}
  - globalavgpool
  - flatten
  - dense: {units: 0x3, init: normal=0.01}
`,
	} {
		document = strings.ReplaceAll(document, "yes_it_is", "True")
		network, err := builder.ParseNetwork([]byte(document))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !reflect.DeepEqual(network, want) {
			t.Errorf("%s is read as\n%v\nwant\n%v", name, network, want)
		}
		written, err := json.Marshal(network)
		if err != nil || string(written) != string(long) {
			t.Errorf("%s is written as %s (%v), want %s", name, written, err, long)
		}
	}
}

// The place of a fault is the same in JSON as in YAML.
func TestFaultsHavePlaces(t *testing.T) {
	for _, test := range []struct {
		document     string
		line, column int
	}{
		{"{\n \"name\": \"größer\", \"input\": [4],\n \"layers\": [ \"relu\" ]}", 1, 1},
		{"{\"name\": \"x\", \"input\": [4],\n \"layers\": [ \"relu\",\n  {\"dense\": {\"units\": true}}]}",
			3, 23},
		{"{\"name\": \"x\", \"input\": [4],\n \"layers\": [ \"relu\",\n  {\"dense\": {\"units\": -1}}]}",
			3, 3},
		{"name: x\ninput: [4]\nlayers:\n- relu\n- dense: {units: -1}\n", 5, 3},
		{"name: x\ninput: [4]\nlayers:\n- relu\n- dense: {units: true}\n", 5, 18},
		{"{\"name\": \"x\",\n \"input\": [4}}", 2, 13},
		{"{\"name\": \"x\",\n \"input\": [4]\n", 2, 14},
		{"{\"name\": \"x\"}\n{\"name\": \"x\"}", 2, 1},
	} {
		_, err := builder.ParseNetwork([]byte(test.document))
		var place *builder.PlaceError
		if !errors.As(err, &place) {
			t.Errorf("%q: %v has no place", test.document, err)
		} else if place.Line != test.line || place.Column != test.column {
			t.Errorf("%q: line %d, column %d, want %d, %d: %v", test.document, place.Line, place.Column,
				test.line, test.column, err)
		}
	}
}

// Files made to harm are refused before much time or memory is spent on them.
func TestHostileNetworks(t *testing.T) {
	bomb := "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
	for i := 1; i < 12; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [", i, i) + strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9) + "]\n"
	}
	head := "name: x\ninput: [4]\nlayers:\n"
	layers := func(n int) string { return head + strings.Repeat("- relu\n", n) }
	for _, test := range []struct{ name, document, want string }{
		{"an alias bomb", bomb + "network: {name: x, input: *a11, layers: [relu]}\n",
			"more than 262,144 values"},
		{"a bomb of layers", bomb + "network: {name: x, input: [4], layers: *a11}\n", "layer 1 of 9"},
		{"a value inside of itself", "network: {name: x, input: &a [*a], layers: [relu]}\n",
			"inside of each other"},
		{"a layer inside of itself", "network: {name: x, input: [4], layers: &a [*a]}\n", "is a list"},
		{"an alias of nothing", "network: *nothing\n", "unknown anchor"},
		{"deep lists", strings.Repeat("[", 1<<19), "inside of each other"},
		{"deep JSON", `{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}",
			"inside of each other"},
		{"deep mappings", strings.Repeat("{a: ", 1<<19), "is not JSON"},
		{"many lists", "a: [" + strings.Repeat("[],", 1<<19) + "]\n", `a network has no "a"`},
		{"many lists in JSON", `{"a": [` + strings.Repeat("[],", 1<<19) + "[]]}", `a network has no "a"`},
		{"many mappings", "a: [" + strings.Repeat("{},", 1<<19) + "]\n", `a network has no "a"`},
		{"many entries", "a:\n" + strings.Repeat("- ?\n", 1<<18-2), `a network has no "a"`},
		{"many anchors", "a: [" + strings.Repeat("&a ,", 1<<18-2) + "]\n", `a network has no "a"`},
		{"deep fields", head + "- dense: {units: " + strings.Repeat("[", 1000) + strings.Repeat("]",
			1000) + "}\n", "inside of each other"},
		{"too large a file", strings.Repeat(" ", 3<<20), "3,145,728 bytes"},
		{"too many values", layers(270_000), "more than 262,144 values"},
		{"too many layers", layers(10_001), "network x has 10,001 layers, at most 10,000 are read"},
		{"a long name", head + "- " + strings.Repeat("r", 1<<19) + "\n", "there is no layer"},
		{"a long field", head + "- relu: {" + strings.Repeat("r", 1000) + ": 1}\n", "has no field"},
		{"a huge unit", head + "- dense: {units: 9223372036854775807}\n", "shape"},
		{"more than an integer", head + "- dense: {units: 9223372036854775808}\n",
			"is not a whole number in range"},
		{"more than a number", head + "- dropout: {p: 1e400}\n", "is not a number in range"},
		{"a huge kernel",
			"name: x\ninput: [1, 9, 9]\nlayers:\n- conv2d: {filters: 1, kernel: 4611686018427387904, padding: 1}\n",
			"kernel"},
		{"a huge stride",
			"name: x\ninput: [1, 9, 9]\nlayers:\n- conv2d: {filters: 1, kernel: 1, stride: -9223372036854775808}\n",
			"stride"},
		{"a huge input", "name: x\ninput: [2147483647, 2147483647, 2147483647]\nlayers: [relu]\n",
			"holds more than"},
		{"no number", head + "- dropout: {p: .nan}\n", `".nan" is no finite number`},
		{"no number in JSON", `{"name": "x", "input": [4], "layers": [{"dropout": {"p": NaN}}]}`,
			`"NaN" is not a number`},
		{"an endless number", head + "- dropout: {p: -.inf}\n", "no finite number"},
		{"a merge", "base: &b {units: 3}\nnetwork: {name: x, input: [4], layers: [{dense: {<<: *b}}]}\n",
			"a key that is no name"},
		{"a key that is a list", head + "- {[1]: 2}\n", "a key that is no name"},
		{"another type", head + "- dense: {units: !!binary aGVsbG8=}\n", "has the tag"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			begin := cputime.Used()
			_, err := builder.ParseNetwork([]byte(test.document))
			took := cputime.Used() - begin
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %.300v, want one with %q", err, test.want)
			} else if len(err.Error()) > 1000 {
				t.Errorf("the message has %d bytes: %.300v", len(err.Error()), err)
			}
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 256<<20 {
				t.Errorf("%d MB were allocated for %d bytes", allocated>>20, len(test.document))
			}
			if took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
			t.Logf("%v, %d MB: %.200v", took, (after.TotalAlloc-before.TotalAlloc)>>20, err)
		})
	}
}

// What is committed was written by this format, and is written so again.
func TestCommittedNetworksStayTheirBytes(t *testing.T) {
	e1, err := builder.E1(10)
	if err != nil {
		t.Fatal(err)
	}
	e2, err := builder.E2(10, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]*builder.Network{
		"../graphs/e1/run.json": e1, "../graphs/e2/run.json": e2,
	} {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		network, err := builder.ParseNetwork(raw)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if !reflect.DeepEqual(network, want) {
			t.Errorf("%s is read as\n%v\nwant\n%v", path, network, want)
		}
		var document struct {
			Network json.RawMessage `json:"network"`
		}
		if err := json.Unmarshal(raw, &document); err != nil {
			t.Fatal(err)
		}
		var kept bytes.Buffer
		if err := json.Compact(&kept, document.Network); err != nil {
			t.Fatal(err)
		}
		written, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(written, kept.Bytes()) {
			t.Errorf("%s has the network\n%s\nand it is written as\n%s", path, &kept, written)
		}
	}
}
