package infer

import (
	"math"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/infer/port"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// endingIn is E1's graph with nodes behind its logits, the last of which gives the scores.
func endingIn(t *testing.T, nodes ...*onnxpb.NodeProto) *onnx.Model {
	t.Helper()
	model, err := LoadModel("../graphs/e1.onnx")
	if err != nil {
		t.Fatal(err)
	}
	graph := model.Proto.Graph
	shape := &onnxpb.TensorProto{Name: proto.String("flat"),
		DataType: proto.Int32(int32(onnxpb.TensorProto_INT64)), Dims: []int64{2},
		RawData: make([]byte, 16)}
	for i := range 8 {
		shape.RawData[8+i] = 0xff // 0, as it is; −1, the rest
	}
	graph.Initializer = append(graph.Initializer, shape)
	last := "logits"
	for _, node := range nodes {
		if len(node.Input) == 0 {
			node.Input = []string{last}
		}
		if node.GetOpType() == "Reshape" {
			node.Input = append(node.Input, "flat")
		}
		last = node.Output[0]
		graph.Node = append(graph.Node, node)
	}
	graph.Output[0].Name = proto.String(last)
	if err := model.Check(); err != nil {
		t.Fatal(err)
	}
	return model
}

func ending(operator, output string, attributes ...*onnxpb.AttributeProto) *onnxpb.NodeProto {
	return &onnxpb.NodeProto{OpType: proto.String(operator), Output: []string{output},
		Attribute: attributes}
}

func castTo(to onnxpb.TensorProto_DataType) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String("to"), Type: onnxpb.AttributeProto_INT.Enum(),
		I: proto.Int64(int64(to))}
}

func TestFindHead(t *testing.T) {
	named := ending("Softmax", "p")
	named.Name = proto.String("prob")
	foreign := ending("Softmax", "p")
	foreign.Domain = proto.String("com.example")
	for name, test := range map[string]struct {
		nodes []*onnxpb.NodeProto
		want  Head
	}{
		"nothing": {nil, Head{}},
		"Softmax": {[]*onnxpb.NodeProto{named},
			Head{Operator: "Softmax", Node: "prob", Logits: "logits"}},
		"without a name": {[]*onnxpb.NodeProto{ending("LogSoftmax", "p")},
			Head{Operator: "LogSoftmax", Node: "p", Logits: "logits"}},
		"Sigmoid": {[]*onnxpb.NodeProto{ending("Sigmoid", "p")},
			Head{Operator: "Sigmoid", Node: "p", Logits: "logits"}},
		"behind views": {[]*onnxpb.NodeProto{ending("Identity", "i"), ending("Softmax", "p"),
			ending("Identity", "q"), ending("Flatten", "f"), ending("Reshape", "r")},
			Head{Operator: "Softmax", Node: "p", Logits: "i"}},
		"through float16": {[]*onnxpb.NodeProto{ending("Softmax", "p"),
			ending("Cast", "h", castTo(onnxpb.TensorProto_FLOAT16)),
			ending("Cast", "q", castTo(onnxpb.TensorProto_FLOAT))},
			Head{Operator: "Softmax", Node: "p", Logits: "logits", Float16: true}},
		"the last of two": {[]*onnxpb.NodeProto{ending("Softmax", "p"), ending("Softmax", "q")},
			Head{Operator: "Softmax", Node: "q", Logits: "p"}},
		"rounded to integers": {[]*onnxpb.NodeProto{ending("Softmax", "p"),
			ending("Cast", "n", castTo(onnxpb.TensorProto_INT32)),
			ending("Cast", "q", castTo(onnxpb.TensorProto_FLOAT))}, Head{}},
		"something behind it": {[]*onnxpb.NodeProto{ending("Softmax", "p"), ending("Neg", "q")}, Head{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := FindHead(endingIn(t, test.nodes...), ""); got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
	if got := FindHead(endingIn(t), "nowhere"); !got.None() {
		t.Errorf("an output that does not exist has %v", got)
	}
	model := endingIn(t)
	model.Proto.Graph.Node = append(model.Proto.Graph.Node, foreign)
	foreign.Input = []string{"logits"}
	model.Proto.Graph.Output[0].Name = proto.String("p")
	if got := FindHead(model, ""); !got.None() {
		t.Errorf("another domain's Softmax is taken for ONNX's: %v", got)
	}
}

// TestChangeIsABound disturbs logits by no more than δ and asks for no more than δ
// of the scores, for every head and size of logits; and that it is attained where
// one logit goes up and all others down.
func TestChangeIsABound(t *testing.T) {
	random := rand.New(rand.NewPCG(16, 7))
	for _, operator := range []string{port.Softmax, port.LogSoftmax, port.Sigmoid} {
		head := Head{Operator: operator}
		attained := 0.0
		for range 2000 {
			classes := 2 + random.IntN(30)
			size := math.Pow(10, 4*random.Float64()-2)
			delta := size * math.Pow(10, -6*random.Float64())
			a, b := make([]float64, classes), make([]float64, classes)
			extreme := random.IntN(2) == 0
			for k := range a {
				a[k] = size * random.NormFloat64()
				b[k] = a[k] + delta*(2*random.Float64()-1)
				if extreme {
					b[k] = a[k] - delta
				}
			}
			if extreme {
				k := random.IntN(classes)
				b[k] = a[k] + delta
			}
			// As runtimes do, from logits of float64 so that δ is exact.
			p, q := headScores(operator, a), headScores(operator, b)
			for k := range p {
				got := changeOf(head, p[k], q[k], classes)
				if got > delta*(1+1e-9) {
					t.Fatalf("%s of %d: %v and %v take %g, the logits differ by %g", operator, classes, p[k], q[k],
						got, delta)
				}
				attained = max(attained, got/delta)
				if back := changeOf(head, q[k], p[k], classes); back != got {
					t.Fatalf("%s: %g one way, %g the other", operator, got, back)
				}
			}
		}
		if attained < 0.99 {
			t.Errorf("%s: the bound is never attained, %.3f of it at most", operator, attained)
		}
	}
}

func headScores(operator string, logits []float64) []float32 {
	largest, sum := math.Inf(-1), 0.0
	for _, z := range logits {
		largest = max(largest, z)
	}
	for _, z := range logits {
		sum += math.Exp(z - largest)
	}
	scores := make([]float32, len(logits))
	for k, z := range logits {
		switch operator {
		case port.Softmax:
			scores[k] = float32(math.Exp(z-largest) / sum)
		case port.LogSoftmax:
			scores[k] = float32(z - largest - math.Log(sum))
		default:
			scores[k] = float32(1 / (1 + math.Exp(-z)))
		}
	}
	return scores
}

func TestChangeOfWhatIsNoProbability(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	softmax := Head{Operator: port.Softmax}
	for _, pair := range [][2]float32{{nan, 0.5}, {0.5, nan}, {1.5, 1.25}, {-0.5, 0.5}, {inf, 1},
		{nan, nan}} {
		if got := changeOf(softmax, pair[0], pair[1], 10); !math.IsInf(got, 1) {
			t.Errorf("%v takes %g, want no change of logits that could", pair, got)
		}
	}
	for _, pair := range [][2]float32{{0, 0}, {1, 1}, {0, 1e-39}, {1, 1 - 1e-7}} {
		if got := changeOf(softmax, pair[0], pair[1], 10); got != 0 {
			t.Errorf("%v takes %g, want none: it is rounding", pair, got)
		}
	}
	if got := changeOf(softmax, 0, 1, 10); got < 40 {
		t.Errorf("from 0 to 1 takes %g", got)
	}
	log := Head{Operator: port.LogSoftmax}
	if got := changeOf(log, -inf, -3, 10); !math.IsInf(got, 1) {
		t.Errorf("from no chance to some takes %g", got)
	}
}

func TestMadeByAndApply(t *testing.T) {
	logits := Logits{N: 2, K: 3, Values: []float32{1, -2, 30, 0, 0.5, 0}}
	for _, operator := range []string{port.Softmax, port.LogSoftmax, port.Sigmoid} {
		head := Head{Operator: operator}
		scores := head.Apply(logits)
		if !head.MadeBy(scores) || head.MadeBy(logits) {
			t.Errorf("%s: its scores %v are not known, or the logits are taken for some", operator,
				scores.Values)
		}
		for i := range 2 {
			row := make([]float64, 3)
			for k, z := range logits.Row(i) {
				row[k] = float64(z)
			}
			for k, want := range headScores(operator, row) {
				if scores.Row(i)[k] != want {
					t.Errorf("%s: %v, want %v", operator, scores.Row(i)[k], want)
				}
			}
		}
	}
	if (Head{}).MadeBy(logits) || &(Head{}).Apply(logits).Values[0] == &logits.Values[0] {
		t.Error("no head makes scores, or gives the caller's memory back")
	}
}
