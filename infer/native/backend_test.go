package native

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"slipway/onnx"
)

var update = flag.Bool("update", false, "write docs/backend-tests.md instead of comparing it")

const (
	backendTests = "../../.cache/onnx-backend-tests/1.22.0"
	backendList  = "../../docs/backend-tests.md"
	// The tolerances of ONNX's own runner (onnx/backend/test/runner): a result may
	// differ by backendAbsolute + backendRelative·|expected|.
	backendRelative = 1e-3
	backendAbsolute = 1e-7
)

// suites are the folders whose cases hold a model and its data; real and light
// hold large networks that the runner downloads or has without weights.
func suites() []string {
	return []string{"node", "simple", "pytorch-operator", "pytorch-converted"}
}

// verdict is what became of a case.
type verdict struct {
	suite, name string
	operators   []string // of its nodes, sorted
	reason      string   // why it does not pass, empty if it does
}

// TestBackend runs ONNX's own tests: every case through decoder, check and
// evaluator. None may panic; what passes and why the rest does not is the
// committed list, docs/backend-tests.md. Make it again with
//
//	go test ./infer/native -run TestBackend -update
func TestBackend(t *testing.T) {
	if _, err := os.Stat(backendTests); errors.Is(err, os.ErrNotExist) {
		t.Skip("ONNX's backend tests are not there: scripts/setup-onnx-backend-tests brings them")
	}
	var verdicts []verdict
	for _, suite := range suites() {
		folders, err := filepath.Glob(filepath.Join(backendTests, suite, "test_*"))
		if err != nil || len(folders) == 0 {
			t.Fatalf("%s: no cases (%v)", suite, err)
		}
		for _, folder := range folders {
			v := verdict{suite: suite, name: strings.TrimPrefix(filepath.Base(folder), "test_")}
			v.operators, v.reason = runCase(t, folder)
			verdicts = append(verdicts, v)
		}
	}
	list := listOf(verdicts)
	if *update {
		if err := os.WriteFile(backendList, list, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	committed, err := os.ReadFile(backendList)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(list, committed) {
		t.Errorf(
			"docs/backend-tests.md is not what the tests give; go test ./infer/native -run TestBackend -update makes it again. First difference:\n%s",
			firstDifference(string(committed), string(list)))
	}
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return fmt.Sprintf("committed: %s\nnow:       %s", x[i], y[i])
		}
	}
	return "one is longer"
}

// runCase returns a case's operators, and why it does not pass.
func runCase(t *testing.T, folder string) (operators []string, reason string) {
	t.Helper()
	defer func() {
		// A panic here is a failure, never a reason in the list.
		if p := recover(); p != nil {
			t.Errorf("%s: panic: %v", folder, p)
			reason = "panic"
		}
	}()
	model, err := onnx.Read(filepath.Join(folder, "model.onnx"))
	if err != nil {
		return nil, "the decoder refuses it: " + inner(err)
	}
	names := make(map[string]bool)
	for _, n := range model.Proto.GetGraph().GetNode() {
		name := n.GetOpType()
		if n.GetDomain() != "" {
			name = n.GetDomain() + "." + name
		}
		names[name] = true
	}
	operators = slices.Sorted(maps.Keys(names))
	if err := model.Check(); err != nil {
		return operators, "the check refuses it: " + inner(err)
	}
	e, err := New(t.Context(), model, Options{Threads: 2})
	if err != nil {
		return operators, "not supported: " + inner(err)
	}
	defer e.Close()
	sets, err := filepath.Glob(filepath.Join(folder, "test_data_set_*"))
	if err != nil || len(sets) == 0 {
		return operators, "it has no data"
	}
	for i := range sets {
		if reason := runSet(t, e, folder, i); reason != "" {
			return operators, reason
		}
	}
	return operators, ""
}

// inner is an error's text without what differs from place to place.
func inner(err error) string {
	text := strings.ReplaceAll(err.Error(), ErrUnsupported.Error()+": ", "")
	if _, after, ok := strings.Cut(text, ".onnx: "); ok {
		text = after
	}
	return strings.ReplaceAll(text, backendTests+"/", "")
}

func runSet(t *testing.T, e *Evaluator, folder string, set int) (reason string) {
	t.Helper()
	inputs, outputs, err := readSet(folder, set)
	if err != nil {
		return "its data: " + err.Error()
	}
	given := make(map[string]*Tensor)
	ports := e.Inputs()
	if len(inputs) > len(ports) {
		return fmt.Sprintf("it gives %d inputs to %d", len(inputs), len(ports))
	}
	for i, in := range inputs {
		given[ports[i].Name] = in
	}
	got, err := e.Run(t.Context(), given)
	if err != nil {
		return "not supported: " + inner(err)
	}
	for i, want := range outputs {
		if i >= len(got) {
			return "an output is missing"
		}
		if reason := difference(got[i], want); reason != "" {
			return fmt.Sprintf("output %d: %s", i, reason)
		}
	}
	return ""
}

func readSet(folder string, set int) (inputs, outputs []*Tensor, err error) {
	read := func(kind string) ([]*Tensor, error) {
		var all []*Tensor
		for i := 0; ; i++ {
			proto, err := onnx.ReadTensor(filepath.Join(folder, fmt.Sprintf("test_data_set_%d", set),
				fmt.Sprintf("%s_%d.pb", kind, i)))
			if errors.Is(err, os.ErrNotExist) {
				return all, nil
			}
			if err != nil {
				return nil, fmt.Errorf("%s %d is no tensor (a sequence, an optional value or damaged)", kind, i)
			}
			tensor, err := tensorOf(proto)
			if err != nil {
				return nil, fmt.Errorf("%s %d: %w", kind, i, err)
			}
			all = append(all, tensor)
		}
	}
	if inputs, err = read("input"); err != nil {
		return nil, nil, err
	}
	outputs, err = read("output")
	return inputs, outputs, err
}

// difference says how a result is not what is expected, empty if it is.
func difference(got, want *Tensor) string {
	if got.Type() != want.Type() || !slices.Equal(got.Shape, want.Shape) {
		return fmt.Sprintf("it is %v, expected is %v", got, want)
	}
	a, b := asFloats(got), asFloats(want)
	for i := range a {
		same := a[i] == b[i] || a[i] != a[i] && b[i] != b[i]
		if !same && !(math.Abs(a[i]-b[i]) <= backendAbsolute+backendRelative*math.Abs(b[i])) {
			return fmt.Sprintf("element %d is %g, expected is %g", i, a[i], b[i])
		}
	}
	return ""
}

func asFloats(t *Tensor) []float64 {
	r := &run{arena: &arena{limit: DefaultMemoryLimit}}
	values := make([]float64, t.elements())
	for i := range values {
		one, _ := r.tensor(t.Type(), nil)
		copyStrided(one, t, region{shape: []int{1}, dst: []int{1}, src: []int{1}, srcOffset: i})
		values[i] = oneFloat(one)
	}
	return values
}

func oneFloat(t *Tensor) float64 {
	switch d := t.Data.(type) {
	case []float32:
		return float64(d[0])
	case []float64:
		return d[0]
	case []int8:
		return float64(d[0])
	case []int16:
		return float64(d[0])
	case []int32:
		return float64(d[0])
	case []int64:
		return float64(d[0])
	case []uint8:
		return float64(d[0])
	case []uint16:
		return float64(d[0])
	case []uint32:
		return float64(d[0])
	case []uint64:
		return float64(d[0])
	case []bool:
		if d[0] {
			return 1
		}
	}
	return 0
}

// listOf writes docs/backend-tests.md.
func listOf(verdicts []verdict) []byte {
	known := operators()
	type count struct{ passed, all int }
	perOperator, perSuite := make(map[string]*count), make(map[string]*count)
	reasons := make(map[string][]string)
	total, allKnown := count{}, count{}
	for _, v := range verdicts {
		passed := 0
		if v.reason == "" {
			passed = 1
		} else {
			reasons[groupOf(v)] = append(reasons[groupOf(v)], v.suite+"/"+v.name)
		}
		implemented := len(v.operators) > 0
		for _, name := range v.operators {
			_, ok := known[name]
			implemented = implemented && ok
		}
		counts := []*count{&total, at(perSuite, v.suite)}
		if implemented {
			counts = append(counts, &allKnown)
			for _, name := range v.operators {
				counts = append(counts, at(perOperator, name))
			}
		}
		for _, c := range counts {
			c.passed += passed
			c.all++
		}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `# ONNX's backend tests in the native runtime

Made by `+"`go test ./infer/native -run TestBackend -update`"+` from the tests in the wheel onnx 1.22.0, which
scripts/setup-onnx-backend-tests brings; the same test compares this list with what it sees. A case passes when each
element is within %g + %g·|expected|, the tolerance of ONNX's own runner; NaN equals NaN. Every case goes through the
decoder, the check and the evaluator; none may panic.

%d of %d cases pass; of the %d whose operators are all implemented, %d.

| suite | passed | cases |
| --- | ---: | ---: |
`, backendAbsolute, backendRelative, total.passed, total.all, allKnown.all, allKnown.passed)
	for _, suite := range suites() {
		fmt.Fprintf(&b, "| %s | %d | %d |\n", suite, perSuite[suite].passed, perSuite[suite].all)
	}
	fmt.Fprint(&b,
		"\n## By operator\n\nCases with the operator among their nodes, if all of these are implemented.\n\n| operator | passed | cases |\n| --- | ---: | ---: |\n")
	for _, name := range slices.Sorted(maps.Keys(perOperator)) {
		fmt.Fprintf(&b, "| %s | %d | %d |\n", name, perOperator[name].passed, perOperator[name].all)
	}
	fmt.Fprint(&b, "\n## What does not pass\n")
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		fmt.Fprintf(&b, "\n### %s\n\n%s\n", reason, strings.Join(reasons[reason], ", "))
	}
	return b.Bytes()
}

func at[C any](counts map[string]*C, name string) *C {
	if counts[name] == nil {
		counts[name] = new(C)
	}
	return counts[name]
}

// groupOf is the reason that a case is listed under.
func groupOf(v verdict) string {
	known := operators()
	var unknown []string
	for _, name := range v.operators {
		if _, ok := known[name]; !ok {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		return "Operators that are not implemented: " + strings.Join(unknown, ", ")
	}
	if _, after, ok := strings.Cut(v.reason, "element type "); ok &&
		strings.HasPrefix(v.reason, "its data") {
		name, _, _ := strings.Cut(after, " ")
		return "The data is of an element type that is not supported: " + name
	}
	// The same reason at another node is the same.
	reason := regexp.MustCompile(`node \d+ `).ReplaceAllString(v.reason, "")
	return strings.ToUpper(reason[:1]) + reason[1:]
}
