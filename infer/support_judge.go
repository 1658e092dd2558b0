package infer

import (
	"fmt"
	"strings"
)

// judge holds a model against what was seen of a runtime.
func (f *facts) judge(r runtimeFacts, model features) Verdict {
	v := Verdict{Runtime: r.Runtime, Version: r.Version, Expectation: ExpectRuns}
	seen := "seen with " + r.Version + ", " + f.Date
	against := func(source, format string, args ...any) {
		v.Expectation = ExpectRefuses
		v.Reasons = append(v.Reasons, Reason{fmt.Sprintf(format, args...), source})
	}
	isONNXRuntime := r.Runtime == RuntimeONNXRuntime
	r.Opset.judge("opset", model.opset, seen, against)
	r.IR.judge("IR version", model.ir, seen, against)
	var untried []string
	for _, name := range model.operators {
		o, tried := r.Operators[name]
		cases := plural(o.Cases, "case")
		switch {
		case !tried:
			untried = append(untried, name)
		case o.Loaded == 0:
			against(seen, "%s: refused in all %s of %s%s", name, cases, f.Suite, quoted(o.Message))
		case o.Right == 0:
			against(seen, "%s: answered rightly in none of the %s of %s%s", name, cases, f.Suite,
				quoted(o.Message))
		}
	}
	for _, name := range model.foreign {
		if !isONNXRuntime || !strings.HasPrefix(name, "ai.onnx.ml.") &&
			!strings.HasPrefix(name, "com.microsoft.") {
			untried = append(untried, name)
		}
	}
	if len(untried) > 0 {
		if v.Expectation == ExpectRuns {
			v.Expectation = ExpectUnknown
		}
		v.Reasons = append(v.Reasons, Reason{"not tried: " + strings.Join(untried, ", "),
			"no case of one operator in " + f.Suite})
	}
	if r.Runtime == "tract" && model.computedShape != "" && v.Expectation == ExpectRuns {
		v.Expectation = ExpectUnknown
		v.Reasons = append(v.Reasons,
			Reason{model.computedShape +
				" computes its shape, which it follows in some graphs (PyTorch's) and not in others (tf2onnx's)",
				seen})
	}
	if isONNXRuntime && v.Expectation != ExpectRefuses {
		v.Version, v.Reasons = f.oldestRelease(model, v)
	}
	if r.Runtime == "OpenCV DNN" && model.valueless != "" {
		against("seen; onnx/doc.go",
			"%s has an attribute without a value, as writers on proto3 leave zeros out", model.valueless)
	}
	if note, ok := precisionNotes[r.Runtime]; ok && v.Expectation == ExpectRuns {
		v.Reasons = append(v.Reasons, note)
	}
	return v
}

// judge holds a version against the range. Where the runtime has refused none, the
// range ends only where it was asked no further.
func (r versions) judge(what string, have int64, seen string,
	against func(source, format string, args ...any)) {
	switch {
	case have < r.Oldest && r.Older != "":
		against(seen, "%s %d; the oldest that it takes is %d (%s)", what, have, r.Oldest, r.Older)
	case have > r.Newest && r.Newer != "":
		against(seen, "%s %d; the newest that it takes is %d (%s)", what, have, r.Newest, r.Newer)
	}
}

func quoted(message string) string {
	if message == "" {
		return ""
	}
	return fmt.Sprintf(" (%s)", message)
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// precisionNotes are of runtimes that compute otherwise unless they are asked.
var precisionNotes = map[string]Reason{
	"OpenVINO": {"may compute in bfloat16 or float16 by default: ask for INFERENCE_PRECISION_HINT f32 to compare",
		"seen: 0.015 off"},
}

// release is a release of onnxruntime with the newest opset and IR version that it
// takes.
type release struct {
	Version string `json:"version"`
	Opset   int64  `json:"opset"`
	IR      int64  `json:"ir"`
}

// oldReleases are those before the oldest that probe-runtimes asks, by the table in
// onnxruntime's docs/Versioning.md.
func oldReleases() []release {
	return []release{
		{"0.3.0", 9, 3}, {"0.4.0", 10, 5}, {"1.0.0", 11, 6}, {"1.3.0", 12, 7}, {"1.6.0", 13, 7},
		{"1.8.0", 14, 7}, {"1.9.0", 15, 7},
	}
}

// oldestRelease returns the oldest release of onnxruntime that takes the model's
// opset and IR version, and the reasons with the one why older ones do not. Newer
// releases take all that older ones did, say its makers.
func (f *facts) oldestRelease(model features, v Verdict) (version string, reasons []Reason) {
	documented := oldReleases()
	for i, r := range append(documented, f.Releases...) {
		if model.opset > r.Opset || model.ir > r.IR {
			continue
		}
		source := sourceDocs
		if i >= len(documented) {
			source = "seen, " + f.Date
		}
		return r.Version + " or newer", append(v.Reasons, Reason{
			fmt.Sprintf("%s is the oldest known release that takes opset %d with IR version %d", r.Version,
				model.opset, model.ir), source})
	}
	return v.Version, v.Reasons
}

// documented are verdicts on runtimes that were not asked, from what their makers
// say. asked are those on the others.
func documented(model features, asked []Verdict) []Verdict {
	web := Verdict{Runtime: "onnxruntime-web", Expectation: ExpectUnknown}
	for _, v := range asked {
		if v.Runtime == RuntimeONNXRuntime {
			web.Version, web.Expectation = v.Version, v.Expectation
		}
	}
	web.Reasons = []Reason{{"on WebAssembly, which has onnxruntime's own operators; WebGL and WebGPU have fewer",
		"onnxruntime-web's README"}}

	const oldest, newest = 9, 25
	tensorRT := Verdict{Runtime: "TensorRT", Version: "11", Expectation: ExpectUnknown,
		Reasons: []Reason{{"operators were not tried",
			fmt.Sprintf("its parser takes opset %d to %d, says NVIDIA's ONNX Opset Guide", oldest, newest)}}}
	if model.opset < oldest || model.opset > newest {
		tensorRT.Expectation = ExpectRefuses
		tensorRT.Reasons = []Reason{{fmt.Sprintf("opset %d; it takes %d to %d", model.opset, oldest,
			newest), "NVIDIA's ONNX Opset Guide"}}
	}
	verdicts := []Verdict{web, tensorRT}
	if model.valueless != "" {
		text := fmt.Sprintf("%s has an attribute without a value, as writers on proto3 leave zeros out",
			model.valueless)
		for _, name := range []string{"TVM", "tinygrad", "onnx2torch"} {
			verdicts = append(verdicts, Verdict{Runtime: name, Expectation: ExpectRefuses,
				Reasons: []Reason{{text, "seen; onnx/doc.go"}}})
		}
	}
	return verdicts
}
