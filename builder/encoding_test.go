package builder_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"slipway/builder"
)

// oneOfEach holds every kind of layer that a chain of one input can have, no field at its zero value.
func oneOfEach(t testing.TB) *builder.Network {
	t.Helper()
	return mustNew(t, "every-kind", builder.Shape{2, 13, 11},
		builder.Conv2D{Name: "c", Filters: 3, Kernel: builder.Size{Height: 3, Width: 2}, Stride: builder.Size{Height: 1, Width: 2}, Padding: builder.Size{Height: 2, Width: 1}},
		builder.ReLU{Name: "r"},
		builder.MaxPool2D{Name: "m", Kernel: builder.Size{Height: 3, Width: 2}, Stride: builder.Size{Height: 2, Width: 1}, Padding: builder.Size{Height: 1, Width: 1}},
		builder.AvgPool2D{Name: "a", Kernel: builder.Size{Height: 2, Width: 3}, Stride: builder.Size{Height: 1, Width: 2}, Padding: builder.Size{Height: 1, Width: 1}},
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
	for _, document := range []string{string(raw), `{"network":` + string(raw) + `,"config":{"seed":1}}`} {
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
	network := mustNew(t, "unnamed", builder.Shape{1, 8, 8}, builder.ReLU{}, builder.MaxPool2D{Kernel: builder.Square(2)}, builder.Flatten{}, builder.Dense{Units: 2})
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
	want := mustNew(t, "own", builder.Shape{3, 8, 8}, builder.Conv2D{Filters: 16, Kernel: builder.Square(3)}, builder.ReLU{},
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
		{"no JSON", "layers: 3", "not JSON"},
		{"nothing", "", "not JSON"},
		{"a list", "[]", "not JSON"},
		{"an empty object", "{}", "network name"},
		{"truncated", string(good[:len(good)-2]), "not JSON"},
		{"unknown kind", replace(`"kind":"ReLU"`, `"kind":"Swirl"`), `layer 2 of 8: unknown kind "Swirl"; known are [Conv2D`},
		{"unknown field of the network", replace(`"name":"every-kind"`, `"name":"every-kind","version":2`), "version"},
		{"unknown field of a layer", replace(`"units":5`, `"units":5,"bias":false`), `layer 6 of 8 (Dense): json: unknown field "bias"`},
		{"another kind's field", replace(`"p":0.125`, `"units":3`), `layer 7 of 8 (Dropout)`},
		{"a field of another type", replace(`"units":5`, `"units":"5"`), "layer 6 of 8 (Dense)"},
		{"a layer without its fields", `{"name":"x","input":[4],"layers":[{"kind":"Dense"}]}`, "(Dense fc1)"},
		{"a layer of null", `{"name":"x","input":[4],"layers":[null]}`, "layer 1 of 1"},
		{"a shape that does not fit", replace(`"units":5`, `"units":-5`), "(Dense d)"},
		{"no layers", `{"name":"x","input":[4],"layers":[]}`, "has no layers"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := builder.ParseNetwork([]byte(test.document)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want one with %q", err, test.want)
			}
		})
	}
}
