package infer

import (
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/infer/port"
	"slipway/internal/graphmaker"
	"slipway/onnx/convert"
	"slipway/onnx/onnxpb"
)

func verdictOf(t *testing.T, verdicts []Verdict, runtime string) Verdict {
	t.Helper()
	for _, v := range verdicts {
		if v.Runtime == runtime {
			return v
		}
	}
	t.Fatalf("nothing is said of %s: %+v", runtime, verdicts)
	return Verdict{}
}

// What Slipway's own runtimes are expected to do is what they do.
func TestSupportAsksOwnRuntimes(t *testing.T) {
	foreign, err := filepath.Glob("testdata/foreign/*.onnx")
	if err != nil {
		t.Fatal(err)
	}
	if len(foreign) == 0 {
		t.Fatal("there are no models of other frameworks")
	}
	refused := 0
	for _, path := range append(foreign, "testdata/small.onnx", "testdata/uint8.onnx",
		"testdata/zipmap.onnx", "testdata/two_inputs.onnx") {
		model, err := LoadModel(path)
		if err != nil {
			t.Fatal(err)
		}
		verdicts, err := Support(t.Context(), model)
		if err != nil {
			t.Fatal(err)
		}
		for name, open := range map[string]func() error{
			"train -from": func() error { _, _, err := convert.ToNetwork(model, ""); return err },
			"onnx-go": func() error {
				p, err := port.Find(model, "")
				if err == nil {
					_, _, err = onnxGoModel(model, p, onnxGoBatch)
				}
				return err
			},
		} {
			v, err := verdictOf(t, verdicts, name), open()
			if (v.Expectation == ExpectRefuses) != (err != nil) {
				t.Errorf("%s is expected to be one that %s %s, which says: %v", path, name, v.Expectation, err)
			}
			if err != nil {
				refused++
				if len(v.Reasons) == 0 || strings.Contains(v.Reasons[0].Text, path) {
					t.Errorf("%s, %s: the reasons are %+v", path, name, v.Reasons)
				}
			}
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}

func testFacts() *facts {
	return &facts{
		Date: "a day", Suite: "a suite",
		Runtimes: []runtimeFacts{
			{Runtime: "onnxruntime", Version: "9.9", Opset: versions{Oldest: 7, Newest: 26, Older: "no",
				Newer: "no"}, IR: versions{Oldest: 4, Newest: 13},
				Operators: map[string]operatorFacts{"Relu": {Cases: 2, Loaded: 2, Right: 2}}},
			{Runtime: "Other", Version: "1.0", Opset: versions{Oldest: 9, Newest: 18, Older: "too old",
				Newer: "too new"}, IR: versions{Oldest: 4, Newest: 8, Newer: "no"},
				Operators: map[string]operatorFacts{"Relu": {Cases: 2, Loaded: 2, Right: 1},
					"Det":   {Cases: 3, Message: "no such operator"},
					"Round": {Cases: 1, Loaded: 1, Message: "other values"}}},
		},
		Releases: []release{{"9.1", 20, 9}, {"9.9", 26, 13}},
	}
}

func TestJudge(t *testing.T) {
	for _, test := range []struct {
		name    string
		runtime int
		model   features
		want    Expectation
		version string
		reasons []string
	}{
		{"fine", 1, features{opset: 13, ir: 7, operators: []string{"Relu"}}, ExpectRuns, "1.0", nil},
		{"new opset", 1, features{opset: 19, ir: 7}, ExpectRefuses, "1.0",
			[]string{"opset 19; the newest that it takes is 18 (too new)"}},
		{"old opset", 1, features{opset: 8, ir: 7}, ExpectRefuses, "1.0",
			[]string{"opset 8; the oldest that it takes is 9"}},
		{"IR", 1, features{opset: 13, ir: 9}, ExpectRefuses, "1.0",
			[]string{"IR version 9; the newest that it takes is 8"}},
		{"operators", 1, features{opset: 13, ir: 7, operators: []string{"Det", "Round"}}, ExpectRefuses,
			"1.0", []string{"Det: refused in all 3 cases of a suite (no such operator)",
				"Round: answered rightly in none of the 1 case of a suite (other values)"}},
		{"not asked further", 0, features{opset: 13, ir: 14, operators: []string{"Relu"}}, ExpectRuns,
			"9.9", nil},
		{"untried", 1, features{opset: 13, ir: 7, operators: []string{"Relu", "Zeta"},
			foreign: []string{"ai.onnx.ml.ZipMap"}}, ExpectUnknown, "1.0",
			[]string{"not tried: Zeta, ai.onnx.ml.ZipMap"}},
		{"documented release", 0, features{opset: 13, ir: 7, operators: []string{"Relu"}}, ExpectRuns,
			"1.6.0 or newer",
			[]string{"1.6.0 is the oldest known release that takes opset 13 with IR version 7"}},
		{"seen release", 0, features{opset: 13, ir: 9, operators: []string{"Relu"}}, ExpectRuns,
			"9.1 or newer",
			[]string{"9.1 is the oldest known release that takes opset 13 with IR version 9"}},
		{"onnxruntime's own domains", 0,
			features{opset: 13, ir: 7, foreign: []string{"ai.onnx.ml.ZipMap", "com.microsoft.FusedConv"}},
			ExpectRuns, "1.6.0 or newer",
			[]string{"1.6.0 is the oldest"}},
		{"too new for onnxruntime", 0, features{opset: 27, ir: 7}, ExpectRefuses, "9.9",
			[]string{"opset 27; the newest"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := testFacts()
			v := f.judge(f.Runtimes[test.runtime], test.model)
			if v.Expectation != test.want || v.Version != test.version ||
				len(v.Reasons) != len(test.reasons) {
				t.Fatalf("%+v", v)
			}
			for i, want := range test.reasons {
				if !strings.HasPrefix(v.Reasons[i].Text, want) || v.Reasons[i].Source == "" {
					t.Errorf("%+v, want %q", v.Reasons[i], want)
				}
			}
		})
	}
}

// The facts that are built in are whole: each runtime was asked opset 13, IR 7 and
// what our exports are made of, and answered rightly, as docs/conformance.md says.
func TestFacts(t *testing.T) {
	f, err := readFacts()
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Runtimes) < 4 || len(f.Releases) < 10 {
		t.Fatalf("%d runtimes and %d releases are known", len(f.Runtimes), len(f.Releases))
	}
	exported := features{opset: 13, ir: 7, operators: []string{"AveragePool", "Conv", "Flatten",
		"Gemm", "MaxPool", "Relu", "Softmax"}}
	for _, r := range f.Runtimes {
		if v := f.judge(r, exported); v.Expectation != ExpectRuns {
			t.Errorf("%s is expected to be one that %s our exports: %+v", r.Runtime, v.Expectation,
				v.Reasons)
		}
		if len(r.Operators) < 100 {
			t.Errorf("%s: %d operators were tried", r.Runtime, len(r.Operators))
		}
	}
	releases := append(oldReleases(), f.Releases...)
	for i, r := range releases[1:] {
		if before := releases[i]; r.Opset < before.Opset || r.IR < before.IR {
			t.Errorf("onnxruntime %s takes less than %s, against what its makers say", r.Version,
				before.Version)
		}
	}
}

func TestDocumented(t *testing.T) {
	model := graphmaker.New(graphmaker.Free, 1, 8, 8).Weight("w", -1, 1, 2, 1, 3, 3).
		Node("y = Conv x w").Model()
	model.Proto.Graph.Node[0].Attribute = append(model.Proto.Graph.Node[0].Attribute,
		&onnxpb.AttributeProto{Name: proto.String("group"), Type: onnxpb.AttributeProto_INT.Enum()})
	f := featuresOf(model)
	if !strings.Contains(f.valueless, "Conv") {
		t.Fatalf("%+v", f)
	}
	verdicts := documented(f,
		[]Verdict{{Runtime: RuntimeONNXRuntime, Version: "1", Expectation: ExpectRuns}})
	for name, want := range map[string]Expectation{"TVM": ExpectRefuses, "tinygrad": ExpectRefuses,
		"onnxruntime-web": ExpectRuns, "TensorRT": ExpectUnknown} {
		if v := verdictOf(t, verdicts, name); v.Expectation != want {
			t.Errorf("%s: %+v", name, v)
		}
	}
	if v := verdictOf(t, documented(features{opset: 7}, nil),
		"TensorRT"); v.Expectation != ExpectRefuses {
		t.Errorf("%+v", v)
	}
}

func TestComputedShape(t *testing.T) {
	for path, want := range map[string]bool{
		"testdata/foreign/keras_cnn_tf2onnx.onnx":     true,
		"testdata/foreign/torch_cnn_torchscript.onnx": true,
		"testdata/foreign/torch_cnn_dynamo.onnx":      false,
	} {
		model, err := LoadModel(path)
		if err != nil {
			t.Fatal(err)
		}
		verdicts, err := Support(t.Context(), model)
		if err != nil {
			t.Fatal(err)
		}
		if v := verdictOf(t, verdicts, "tract"); (v.Expectation == ExpectUnknown) != want {
			t.Errorf("%s: %+v", path, v)
		}
	}
}
