package convert_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/internal/graphmaker"
	"slipway/onnx/convert"
	"slipway/onnx/onnxpb"
)

// counting is a constant of those dimensions: 1, 2, 3 …
func counting(name string, dims ...int64) *onnxpb.TensorProto {
	tensor := &onnxpb.TensorProto{Name: proto.String(name), Dims: dims,
		DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT))}
	elements := int64(1)
	for _, dim := range dims {
		elements *= dim
	}
	for i := range elements {
		tensor.FloatData = append(tensor.FloatData, float32(i+1))
	}
	return tensor
}

// A constant that Expand repeats is the constant that it comes to.
func TestExpandedConstants(t *testing.T) {
	for _, test := range []struct {
		dims []int64 // of the constant 1, 2, 3 …
		to   []int64
		want []float32 // 2×3, the weight of a product
	}{
		{[]int64{2, 3}, []int64{2, 3}, []float32{1, 2, 3, 4, 5, 6}},
		{[]int64{2, 3}, []int64{1, 1}, []float32{1, 2, 3, 4, 5, 6}},
		{[]int64{2, 3}, []int64{3}, []float32{1, 2, 3, 4, 5, 6}},
		{[]int64{2, 3}, []int64{1}, []float32{1, 2, 3, 4, 5, 6}},
		{[]int64{1, 3}, []int64{2, 3}, []float32{1, 2, 3, 1, 2, 3}},
		{[]int64{1, 3}, []int64{2, 1}, []float32{1, 2, 3, 1, 2, 3}},
		{[]int64{3}, []int64{2, 3}, []float32{1, 2, 3, 1, 2, 3}},
		{[]int64{2, 1}, []int64{2, 3}, []float32{1, 1, 1, 2, 2, 2}},
		{[]int64{2, 1}, []int64{3}, []float32{1, 1, 1, 2, 2, 2}},
		{[]int64{1, 1}, []int64{2, 3}, []float32{1, 1, 1, 1, 1, 1}},
		{nil, []int64{2, 3}, []float32{1, 1, 1, 1, 1, 1}},
	} {
		t.Run(fmt.Sprintf("%v to %v", test.dims, test.to), func(t *testing.T) {
			graph := graphmaker.New(graphmaker.Free, 2).Tensor(counting("c", test.dims...)).
				Integers("s", test.to...).Node("w = Expand c s").Node("y = MatMul x w")
			_, got, err := convert.ToNetwork(graph.Model(), "")
			if err != nil {
				t.Fatal(err)
			}
			whole := counting("w", 2, 3)
			whole.FloatData = test.want
			_, want, err := convert.ToNetwork(graphmaker.New(graphmaker.Free, 2).Tensor(whole).
				Node("y = MatMul x w").Model(), "")
			if err != nil {
				t.Fatal(err)
			}
			if len(got) == 0 || len(got) != len(want) {
				t.Fatalf("%d tensors, want %d", len(got), len(want))
			}
			for i := range want {
				if !reflect.DeepEqual(got[i].Shape, want[i].Shape) ||
					!reflect.DeepEqual(got[i].Data, want[i].Data) {
					t.Errorf("%s is %v %v, want %v %v", got[i].Name, got[i].Shape, got[i].Data, want[i].Shape,
						want[i].Data)
				}
			}
		})
	}
}

// Integers that a shape is computed of are reshaped and repeated where they stay a vector or a
// number, and data where they stay as they are.
func TestReshapedAndExpandedSizes(t *testing.T) {
	const free = graphmaker.Free
	join := graphmaker.Int("axis", 0)
	// The images, 6 values each, as N×2×3, by the batch that Shape tells: a vector of one, or a
	// number.
	batch := func() *graphmaker.Graph {
		return graphmaker.New(free, 2, 3).Node("s = Shape x").Integers("zero", 0).Integers("rest", -1).
			Integers("one", 1).Integers("two", 2).
			Integers("nought.", 0).Node("vector = Gather s zero").Node("scalar = Gather s nought.").
			Integers("none").Integers("square", 1, 1)
	}
	end := func(g *graphmaker.Graph, vector string) *graphmaker.Graph {
		return g.Node("t = Concat "+vector+" rest", join).Node("y = Reshape x t")
	}
	for name, test := range map[string]struct {
		graph *graphmaker.Graph
		want  string // empty: it is a network
	}{
		"a number as a vector":        {end(batch().Node("v = Reshape scalar rest"), "v"), ""},
		"a number as a vector of one": {end(batch().Node("v = Reshape scalar one"), "v"), ""},
		"a vector as it is":           {end(batch().Node("v = Reshape vector rest"), "v"), ""},
		"a vector of two as it is": {batch().Node("t = Concat vector rest", join).
			Node("u = Reshape t two").Node("y = Reshape x u"), ""},
		"a vector as a number": {end(batch().Node("n = Reshape vector none").
			Node("v = Unsqueeze n zero"), "v"), ""},
		"a difference of sizes": {batch().Integers("five", 5).Integers("three", 3).
			Node("d = Sub five three").Node("t = Concat rest d three", join).Node("a = Reshape x t").
			Node("y = Flatten a"), ""},
		"a share of 2^24": {batch().Integers("all", 1<<24).Integers("half", 1<<23).
			Integers("three", 3).Node("d = Div all half").Node("t = Concat rest d three", join).
			Node("a = Reshape x t").Node("y = Flatten a"), ""},
		"a share of more": {batch().Integers("all", 1<<24+1).Integers("half", 1<<23).Integers("three", 3).
			Node("d = Div all half").Node("t = Concat rest d three", join).Node("a = Reshape x t").
			Node("y = Flatten a"),
			"it computes with 16777217 and 8388608; at most 16777216 is taken"},
		"one as two": {end(batch().Node("v = Reshape vector two"), "v"),
			"it gives 1 sizes the shape [2]; a vector or a number is needed"},
		"a vector as a matrix": {end(batch().Node("m = Reshape vector square").
			Node("v = Reshape m rest"), "v"), "it gives 1 sizes the shape [1 1]"},
		"two as a number": {batch().Node("t = Concat vector rest", join).
			Node("u = Reshape t none").Node("y = Reshape x u"), "it gives 2 sizes the shape []"},
		"repeated once":            {end(batch().Node("v = Expand vector one"), "v"), ""},
		"repeated to nothing more": {end(batch().Node("v = Expand vector none"), "v"), ""},
		"a number made a vector":   {end(batch().Node("v = Expand scalar one"), "v"), ""},
		"a number stays one": {end(batch().Node("n = Expand scalar none").
			Node("v = Unsqueeze n zero"), "v"), ""},
		"two to two": {batch().Node("t = Concat vector rest", join).
			Node("u = Expand t two").Node("y = Reshape x u"), ""},
		"repeated twice": {end(batch().Node("v = Expand vector two"), "v"),
			"it repeats 1 sizes to [2]"},
		"repeated to a matrix": {end(batch().Node("m = Expand vector square").
			Node("v = Reshape m rest"), "v"), "it repeats 1 sizes to [1 1]"},

		"data to their own shape": {batch().Node("a = Expand x s").Node("y = Flatten a"), ""},
		"data to ones":            {batch().Node("a = Expand x square").Node("y = Flatten a"), ""},
		"data to nothing":         {batch().Node("a = Expand x none").Node("y = Flatten a"), ""},
		"data to their last": {batch().Integers("three", 3).Node("a = Expand x three").
			Node("y = Flatten a"), ""},
		"data to another last": {batch().Integers("four", 4).Node("a = Expand x four").
			Node("y = Flatten a"), "it repeats the data, 2×3 for each image, to [4]"},
		"data to more dimensions": {batch().Integers("more", 1, 1, 1, 1).Node("a = Expand x more").
			Node("y = Flatten a"), "it repeats the data, 2×3 for each image, to [1 1 1 1]"},
		"data to a batch": {batch().Integers("fixed", 5, 2, 3).Node("a = Expand x fixed").
			Node("y = Flatten a"), "it repeats the data, 2×3 for each image, to [5 2 3]"},
		"data with the batch elsewhere": {batch().Node("t = Concat vector vector vector", join).
			Node("a = Expand x t").
			Node("y = Flatten a"), "it repeats the data, 2×3 for each image, to [N N N]"},
		"a constant to the batch": {batch().Tensor(counting("c", 1, 2, 3)).Node("a = Expand c s").
			Node("y = Add x a"), "the batch"},
		"a constant to less": {batch().Tensor(counting("c", 2, 3)).Integers("four", 4).
			Node("a = Expand c four").Node("y = Add x a"), "it repeats the constant 2×3 to [4]"},
		"a constant to nothing": {batch().Tensor(counting("c", 1, 3)).Integers("nil", 0, 3).
			Node("a = Expand c nil").Node("y = Add x a"), "it repeats the constant 1×3 to [0 3]"},
		"a constant to too much": {batch().Tensor(counting("c", 1, 1)).
			Integers("huge", 1<<13, 1<<13).Node("a = Expand c huge").
			Node("y = Add x a"), "it repeats a constant to more than 16777216 values"},
		"a constant to a huge side": {batch().Tensor(counting("c", 1)).Integers("side", 1<<25).
			Node("a = Expand c side").Node("y = Add x a"), "it repeats the constant 1 to [33554432]"},

		"data like a constant": {batch().Tensor(counting("c", 3)).Node("a = CastLike x c").
			Node("y = Flatten a"), ""},
		"data like data": {batch().Node("a = CastLike x x").Node("y = Flatten a"), ""},
		"data like a reshaped one": {batch().Tensor(counting("c", 3)).Node("d = Reshape c rest").
			Node("a = CastLike x d").Node("y = Flatten a"), ""},
		"a constant like data": {graphmaker.New(free, 2).Tensor(counting("c", 2, 3)).
			Node("w = CastLike c x").Node("y = MatMul x w"), ""},
		"data like integers": {batch().Node("a = CastLike x one").
			Node("y = Flatten a"), "it casts to or from another type than float32"},
		"data like a shape": {batch().Node("a = CastLike x s").
			Node("y = Flatten a"), "it casts to or from another type than float32"},
		"a shape like data": {batch().Node("a = CastLike s x").
			Node("y = Mul x a"), "it casts to or from another type than float32"},
		"integers like data": {batch().Node("a = CastLike one x").
			Node("y = Mul x a"), "it casts a constant of another type than float32"},
	} {
		t.Run(name, func(t *testing.T) {
			model := test.graph.Model()
			network, _, err := convert.ToNetwork(model, "")
			if test.want == "" && err != nil {
				t.Error(err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want one with %q\n%v", err, test.want, network)
			}
		})
	}
}
