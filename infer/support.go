package infer

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"slipway/infer/port"
	"slipway/internal/cli"
	"slipway/onnx"
	"slipway/onnx/convert"
	"slipway/onnx/onnxpb"
)

// An Expectation says whether a runtime is expected to run a model.
type Expectation string

// What is expected of a runtime.
const (
	// ExpectRuns: nothing is known against it.
	ExpectRuns Expectation = "runs"
	// ExpectRefuses: it does not take the model, or takes it and answers wrongly.
	ExpectRefuses Expectation = "refuses"
	// ExpectUnknown: the model has something that was not tried.
	ExpectUnknown Expectation = "unknown"
)

// A Verdict is what is expected of one runtime, and why.
type Verdict struct {
	Runtime string
	// Version is the one that the facts are of; of onnxruntime, whose old releases
	// are known as well, that or newer.
	Version     string
	Expectation Expectation
	// Reasons say what stands against the runtime, or must be known about it.
	Reasons []Reason
}

// A Reason is a fact with its source.
type Reason struct{ Text, Source string }

// Sources of reasons.
const (
	sourceAsked = "asked just now"
	sourceTried = "tried just now on a black image"
	sourceDocs  = "onnxruntime's docs/Versioning.md"
)

// Support says of each known runtime whether it will refuse a model, which is of
// LoadModel or checked. Slipway's own commands and its runtimes native and onnx-go
// are asked, native about a black image; of the others it is told what
// scripts/support/probe-runtimes saw of opsets, IR versions and operators, and what
// their makers say. It is no proof: attributes, element types and shapes decide,
// too.
func Support(ctx context.Context, model *onnx.Model) ([]Verdict, error) {
	facts, err := readFacts()
	if err != nil {
		return nil, err
	}
	verdicts := askOwn(ctx, model)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	seen := featuresOf(model)
	for _, runtime := range facts.Runtimes {
		verdicts = append(verdicts, facts.judge(runtime, seen))
	}
	return append(verdicts, documented(seen, verdicts)...), nil
}

// askOwn asks what is in this program.
func askOwn(ctx context.Context, model *onnx.Model) []Verdict {
	own := func(name string, reasons ...error) Verdict {
		v := Verdict{Runtime: name, Version: cli.ModuleVersion, Expectation: ExpectRuns}
		for _, err := range reasons {
			if err != nil {
				v.Expectation = ExpectRefuses
				v.Reasons = append(v.Reasons, Reason{strings.TrimPrefix(err.Error(), model.Path()+": "),
					sourceAsked})
			}
		}
		return v
	}
	ports, portsErr := port.Find(model, "")
	nativeVerdict := own(RuntimeNative)
	nativeVerdict.Expectation, nativeVerdict.Reasons = tryNative(ctx, model, ports, portsErr)
	_, _, networkErr := convert.ToNetwork(model, "")
	verdicts := []Verdict{own("infer, as a classifier", portsErr), nativeVerdict,
		own("train -from", reasonsOf(networkErr)...)}

	onnxGo := Verdict{Runtime: RuntimeONNXGo, Version: onnxGoVersion, Expectation: ExpectRuns}
	err := portsErr
	if err == nil {
		_, _, err = onnxGoModel(model, ports, onnxGoBatch)
	}
	switch {
	case err != nil:
		onnxGo.Expectation = ExpectRefuses
		onnxGo.Reasons = []Reason{{err.Error(), sourceAsked}}
	default:
		onnxGo.Reasons = []Reason{{"batch 2 or more: its Gemm writes into the bias at batch 1, and a second run is wrong",
			"seen; infer feeds it so"}}
	}
	return append(verdicts, onnxGo)
}

// reasonsOf lists why a model is no network.
func reasonsOf(err error) []error {
	var several interface {
		error
		Unwrap() []error
	}
	if errors.As(err, &several) {
		return several.Unwrap()
	}
	return []error{err}
}

// onnxGoVersion is that of go.mod: the worker, which knows it, is not started.
const onnxGoVersion = "v0.5.0"

// features are what of a model decides in which runtimes it runs.
type features struct {
	opset, ir int64
	operators []string // of ONNX's own domain, sorted
	foreign   []string // domain.operator, sorted
	// valueless describes the first node with a number among its attributes that
	// has no value, empty if there is none.
	valueless string
	// computedShape describes the first Reshape whose shape a node computes, empty if
	// there is none.
	computedShape string
}

func featuresOf(model *onnx.Model) features {
	f := features{opset: model.Opset(""), ir: model.IRVersion(), valueless: valuelessNode(model),
		computedShape: computedShape(model)}
	for _, node := range onnx.Inspect(model).Nodes {
		if strings.Contains(node.Operator, ".") {
			f.foreign = append(f.foreign, node.Operator)
			continue
		}
		f.operators = append(f.operators, node.Operator)
	}
	sorted := func(names []string) []string {
		slices.Sort(names)
		return slices.Compact(names)
	}
	f.operators, f.foreign = sorted(f.operators), sorted(f.foreign)
	return f
}

func valuelessNode(model *onnx.Model) string {
	for i, node := range model.Proto.GetGraph().GetNode() {
		for _, a := range node.GetAttribute() {
			number := a.GetType() == onnxpb.AttributeProto_INT && a.I == nil ||
				a.GetType() == onnxpb.AttributeProto_FLOAT && a.F == nil
			if number && a.GetRefAttrName() == "" {
				return fmt.Sprintf("node %d (%q)", i, node.GetOpType())
			}
		}
	}
	return ""
}

func computedShape(model *onnx.Model) string {
	computed := make(map[string]bool)
	for i, node := range model.Proto.GetGraph().GetNode() {
		if inputs := node.GetInput(); node.GetOpType() == "Reshape" && len(inputs) > 1 &&
			computed[inputs[1]] {
			return fmt.Sprintf("node %d (%q)", i, node.GetOpType())
		}
		for _, output := range node.GetOutput() {
			computed[output] = node.GetOpType() != "Constant"
		}
	}
	return ""
}

//go:embed support.json
var supportJSON []byte

// facts is infer/support.json, which scripts/support/probe-runtimes writes.
type facts struct {
	Date     string         `json:"date"`
	Suite    string         `json:"suite"`
	Runtimes []runtimeFacts `json:"runtimes"`
	Releases []release      `json:"onnxruntime_releases"`
}

type runtimeFacts struct {
	Runtime   string                   `json:"runtime"`
	Version   string                   `json:"version"`
	Opset     versions                 `json:"opset"`
	IR        versions                 `json:"ir"`
	Operators map[string]operatorFacts `json:"operators"`
}

// versions is the range in which graphs/e1.onnx, stamped with each, was answered
// rightly; Older and Newer are what the runtime says just outside of it.
type versions struct {
	Oldest int64  `json:"oldest"`
	Newest int64  `json:"newest"`
	Older  string `json:"older"`
	Newer  string `json:"newer"`
}

// operatorFacts counts the suite's cases whose graph is that operator alone.
type operatorFacts struct {
	Cases   int    `json:"cases"`
	Loaded  int    `json:"loaded"`
	Right   int    `json:"right"`
	Message string `json:"message"`
}

func readFacts() (*facts, error) {
	f := new(facts)
	if err := json.Unmarshal(supportJSON, f); err != nil {
		return nil, fmt.Errorf("infer/support.json: %w", err)
	}
	return f, nil
}
