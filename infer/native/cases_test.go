package native_test

import (
	"math/rand/v2"

	"slipway/infer/native"
	"slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// random makes tensors and sizes.
type random struct{ *rand.Rand }

// sizes are small and odd ones, with 1 among them.
func (r random) size() int { return 1 + r.IntN(9) }

func (r random) between(low, high int) int { return low + r.IntN(high-low+1) }

func (r random) tensor(shape ...int) *native.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(r.NormFloat64())
	}
	return &native.Tensor{Shape: shape, Data: data}
}

// positive is for what has no value at 0 and below.
func (r random) positive(shape ...int) *native.Tensor {
	t := r.tensor(shape...)
	for i, v := range t.Data.([]float32) {
		t.Data.([]float32)[i] = v*v + 0.1
	}
	return t
}

// few has equals among its elements, and zeros.
func (r random) few(shape ...int) *native.Tensor {
	t := r.tensor(shape...)
	for i := range t.Data.([]float32) {
		t.Data.([]float32)[i] = float32(r.IntN(3) - 1)
	}
	return t
}

func int64s(values ...int64) *native.Tensor {
	return &native.Tensor{Shape: []int{len(values)}, Data: values}
}

func scalar(v float32) *native.Tensor { return &native.Tensor{Shape: []int{}, Data: []float32{v}} }

type tensors = []*native.Tensor

// operatorCases has every operator several times, on random shapes and with every
// attribute.
func operatorCases(r random) []operatorCase {
	var cases []operatorCase
	add := func(c operatorCase) {
		if c.opset == 0 {
			c.opset = 13
		}
		cases = append(cases, c)
	}
	for range 40 {
		add(r.conv(2))
	}
	for range 10 {
		add(r.conv(1))
		add(r.conv(3))
	}
	for range 120 {
		add(r.pool("MaxPool"))
		add(r.pool("AveragePool"))
	}
	for range 15 {
		add(r.gemm())
		add(r.matMul())
	}
	for range 4 {
		shape := []int{r.size(), r.size(), r.size(), r.size()}
		channels := shape[1]
		add(operatorCase{operator: "GlobalAveragePool", inputs: tensors{r.tensor(shape...)}})
		add(operatorCase{operator: "GlobalMaxPool", inputs: tensors{r.tensor(shape...)}})
		add(operatorCase{operator: "BatchNormalization", opset: []int64{7, 9, 14, 15}[r.IntN(4)],
			attributes: attrs{graphmaker.Float("epsilon", 1e-3)}, inputs: tensors{r.tensor(shape...)},
			constants: tensors{r.tensor(channels), r.tensor(channels), r.tensor(channels),
				r.positive(channels)}})
		add(operatorCase{operator: "InstanceNormalization", opset: 13,
			attributes: attrs{graphmaker.Float("epsilon", 1e-3)},
			inputs:     tensors{r.tensor(shape[:r.between(3, 4)]...)},
			constants:  tensors{r.tensor(channels), r.tensor(channels)}})
		for _, name := range []string{"Softmax", "LogSoftmax"} {
			add(operatorCase{operator: name, opset: 11,
				attributes: attrs{graphmaker.Int("axis", int64(r.between(1, 3)))},
				inputs:     tensors{r.tensor(shape...)}})
			add(operatorCase{operator: name, opset: 13,
				attributes: attrs{graphmaker.Int("axis", int64(r.between(-4, 3)))},
				inputs:     tensors{r.tensor(shape...)}})
		}
		for _, name := range []string{"ArgMax", "ArgMin"} {
			add(operatorCase{operator: name,
				attributes: attrs{graphmaker.Int("axis", int64(r.between(-4, 3))),
					graphmaker.Int("keepdims", int64(r.IntN(2))),
					graphmaker.Int("select_last_index", int64(r.IntN(2)))}, inputs: tensors{r.few(shape...)}})
		}
		for _, name := range []string{"ReduceMean", "ReduceSum", "ReduceSumSquare", "ReduceL1",
			"ReduceL2", "ReduceProd", "ReduceMax", "ReduceMin", "ReduceLogSum"} {
			x := r.positive(shape...)
			add(operatorCase{operator: name, opset: 11,
				attributes: attrs{graphmaker.Ints("axes", int64(r.IntN(2)), -1),
					graphmaker.Int("keepdims", int64(r.IntN(2)))}, inputs: tensors{x}})
			add(operatorCase{operator: name, opset: 18,
				attributes: attrs{graphmaker.Int("keepdims", int64(r.IntN(2)))}, inputs: tensors{x}, flat: true,
				constants: tensors{int64s(int64(r.between(-4, 3)))}})
			add(operatorCase{operator: name, opset: 18,
				attributes: attrs{graphmaker.Int("noop_with_empty_axes", 0),
					graphmaker.Int("keepdims", int64(r.IntN(2)))}, inputs: tensors{x}, flat: true})
		}
		r.moves(shape, add)
		r.elements(shape, add)
		r.quantized(shape, add)
	}
	return cases
}

type attrs = []*onnxpb.AttributeProto

// conv has strides, dilations, groups, and pads of all kinds.
func (r random) conv(spatial int) operatorCase {
	group := []int{1, 1, 2, 3}[r.IntN(4)]
	perGroup, filters := r.between(1, 5), group*r.between(1, 12)
	shape, weight := []int{r.between(1, 3), group * perGroup}, []int{filters, perGroup}
	var kernel, strides, dilations, begin, end []int64
	dilated, even := r.IntN(3) == 0, r.IntN(2) == 0
	for range spatial {
		k, dilation := r.between(1, 4), 1
		if dilated {
			dilation = r.between(1, 3)
		}
		b := r.IntN(3)
		e := b
		if !even {
			e = r.IntN(3)
		}
		weight, kernel = append(weight, k), append(kernel, int64(k))
		shape = append(shape, (k-1)*dilation+1+r.IntN(9))
		strides, dilations = append(strides, int64(r.between(1, 3))), append(dilations, int64(dilation))
		begin, end = append(begin, int64(b)), append(end, int64(e))
	}
	c := operatorCase{operator: "Conv", inputs: tensors{r.tensor(shape...)},
		constants: tensors{r.tensor(weight...), r.tensor(filters)},
		attributes: attrs{graphmaker.Ints("strides", strides...),
			graphmaker.Ints("dilations", dilations...), graphmaker.Int("group", int64(group))}}
	if r.IntN(4) == 0 {
		c.constants = c.constants[:1]
	}
	if r.IntN(4) == 0 {
		// The weight is computed, too.
		c.inputs, c.constants = append(c.inputs, c.constants[0]), c.constants[1:]
	}
	switch mode := []string{"", "", "", "VALID", "SAME_UPPER", "SAME_LOWER"}[r.IntN(6)]; {
	case mode == "":
		c.attributes = append(c.attributes, graphmaker.Ints("pads", append(begin, end...)...))
	default:
		if dilated && mode != "VALID" {
			// onnxruntime refuses the two together.
			mode = "VALID"
		}
		c.attributes[0] = graphmaker.Ints("strides", kernel...)
		c.attributes = append(c.attributes, graphmaker.Text("auto_pad", mode))
	}
	return c
}

func (r random) pool(operator string) operatorCase {
	spatial := []int{1, 2, 2, 2, 3}[r.IntN(5)]
	shape := []int{r.between(1, 3), r.between(1, 10)}
	var kernel, strides, dilations, begin, end []int64
	even, dilated := r.IntN(2) == 0, operator == "MaxPool" && r.IntN(4) == 0
	for range spatial {
		k, dilation := r.between(1, 4), 1
		if dilated {
			dilation = r.between(1, 3)
		}
		b := r.IntN(k/2 + 1)
		e := b
		if !even {
			e = r.IntN(k/2 + 1)
		}
		shape = append(shape, (k-1)*dilation+1+r.IntN(9))
		kernel, strides = append(kernel, int64(k)), append(strides, int64(r.between(1, 3)))
		dilations, begin, end = append(dilations, int64(dilation)), append(begin, int64(b)), append(end,
			int64(e))
	}
	c := operatorCase{operator: operator, opset: []int64{11, 13, 19}[r.IntN(3)],
		inputs: tensors{r.tensor(shape...)},
		attributes: attrs{graphmaker.Ints("kernel_shape", kernel...),
			graphmaker.Ints("strides", strides...), graphmaker.Int("ceil_mode", int64(r.IntN(2)))}}
	if dilated {
		c.attributes = append(c.attributes, graphmaker.Ints("dilations", dilations...))
	}
	if operator == "AveragePool" {
		c.attributes = append(c.attributes, graphmaker.Int("count_include_pad", int64(r.IntN(2))))
	} else if r.IntN(3) == 0 {
		c.outputs = 2
		c.attributes = append(c.attributes, graphmaker.Int("storage_order", int64(r.IntN(2))))
	}
	if r.IntN(5) == 0 && !dilated {
		c.attributes[2] = graphmaker.Int("ceil_mode", 0)
		// A stride beyond the kernel would need negative padding, which onnxruntime refuses.
		c.attributes[1] = graphmaker.Ints("strides", kernel...)
		c.attributes = append(c.attributes,
			graphmaker.Text("auto_pad", []string{"VALID", "SAME_UPPER", "SAME_LOWER"}[r.IntN(3)]))
	} else {
		c.attributes = append(c.attributes, graphmaker.Ints("pads", append(begin, end...)...))
	}
	return c
}

func (r random) gemm() operatorCase {
	m, k, n := r.between(1, 100), r.between(1, 300), r.between(1, 70)
	a, b := []int{m, k}, []int{k, n}
	transA, transB := r.IntN(2), r.IntN(2)
	if transA == 1 {
		a = []int{k, m}
	}
	if transB == 1 {
		b = []int{n, k}
	}
	c := operatorCase{operator: "Gemm", opset: []int64{7, 9, 11, 13}[r.IntN(4)],
		inputs: tensors{r.tensor(a...)}, constants: tensors{r.tensor(b...)},
		attributes: attrs{graphmaker.Int("transA", int64(transA)),
			graphmaker.Int("transB", int64(transB))}}
	if r.IntN(2) == 0 {
		c.attributes = append(c.attributes, graphmaker.Float("alpha", 0.7),
			graphmaker.Float("beta", -1.3))
	}
	if bias := [][]int{{n}, {1, n}, {m, 1}, {m, n}, {1}, nil}[r.IntN(6)]; bias != nil || c.opset < 11 {
		if bias == nil {
			bias = []int{n}
		}
		c.constants = append(c.constants, r.tensor(bias...))
	}
	if r.IntN(3) == 0 {
		c.inputs, c.constants = append(c.inputs, c.constants[0]), c.constants[1:]
	}
	return c
}

func (r random) matMul() operatorCase {
	m, k, n, stack := r.between(1, 40), r.between(1, 60), r.between(1, 40), r.between(1, 4)
	pair := [][2][]int{
		{{m, k}, {k, n}}, {{k}, {k, n}}, {{m, k}, {k}}, {{k}, {k}}, {{stack, m, k}, {k, n}},
		{{stack, m, k}, {stack, k, n}},
		{{m, k}, {stack, k, n}}, {{2, 1, m, k}, {stack, k, n}}, {{stack, m, k}, {k}},
		{{k}, {stack, k, n}},
	}[r.IntN(10)]
	c := operatorCase{operator: "MatMul", flat: len(pair[0])+len(pair[1]) == 2,
		inputs: tensors{r.tensor(pair[0]...)}, constants: tensors{r.tensor(pair[1]...)}}
	if r.IntN(2) == 0 {
		c.inputs, c.constants = append(c.inputs, c.constants[0]), nil
	}
	return c
}

// moves has the operators that move elements and compute shapes.
func (r random) moves(shape []int, add func(operatorCase)) {
	x := r.tensor(shape...)
	n := int64(len(x.Data.([]float32)))
	one := func(operator string, opset int64, constants tensors,
		attributes ...*onnxpb.AttributeProto) {
		add(operatorCase{operator: operator, opset: opset, inputs: tensors{x}, constants: constants,
			attributes: attributes})
	}
	one("Identity", 13, nil)
	one("Dropout", 11, nil, graphmaker.Float("ratio", 0.4))
	one("Dropout", 13, tensors{scalar(0.4)})
	one("Cast", 13, nil, graphmaker.Int("to", int64(onnxpb.TensorProto_INT64)))
	one("Shape", 15, nil, graphmaker.Int("start", int64(r.between(-5, 4))),
		graphmaker.Int("end", int64(r.between(-5, 4))))
	add(operatorCase{operator: "Size", inputs: tensors{x}, flat: true})
	one("Flatten", 13, nil, graphmaker.Int("axis", int64(r.between(-4, 4))))
	one("Reshape", 13, tensors{int64s(0, -1, int64(shape[3]))})
	one("Reshape", 14, tensors{int64s(n)}, graphmaker.Int("allowzero", 1))
	one("Transpose", 13, nil)
	perm := r.Perm(4)
	one("Transpose", 13, nil, graphmaker.Ints("perm", int64(perm[0]), int64(perm[1]), int64(perm[2]),
		int64(perm[3])))
	one("Unsqueeze", 11, nil, graphmaker.Ints("axes", 0, 3))
	one("Unsqueeze", 13, tensors{int64s(-1, 2)})
	single := r.tensor(1, shape[0], 1, shape[1])
	add(operatorCase{operator: "Squeeze", opset: 11, inputs: tensors{single},
		attributes: attrs{graphmaker.Ints("axes", -2)}})
	add(operatorCase{operator: "Squeeze", inputs: tensors{single}, constants: tensors{int64s(0, 2)}})
	axis := r.IntN(4)
	other := append([]int(nil), shape...)
	other[axis] = r.size()
	add(operatorCase{operator: "Concat", inputs: tensors{x, r.tensor(other...), x},
		attributes: attrs{graphmaker.Int("axis", int64(axis-4*r.IntN(2)))}})
	one("Slice", 9, nil, graphmaker.Ints("starts", 0, -2), graphmaker.Ints("ends", 1, 1000),
		graphmaker.Ints("axes", 1, 3))
	one("Slice", 13, tensors{int64s(-1, 1), int64s(-1000, 1<<40), int64s(3, 0), int64s(-2, 2)})
	one("Gather", 13, tensors{{Shape: []int{2, 2}, Data: []int64{0, -1, int64(shape[axis] - 1), 0}}},
		graphmaker.Int("axis", int64(axis)))
	add(operatorCase{operator: "Gather", inputs: tensors{r.tensor(7)},
		constants: tensors{{Shape: []int{}, Data: []int64{3}}}, flat: true})
	one("Pad", 7, nil, graphmaker.Ints("pads", 0, 1, 2, 0, 1, 0, 2, 3), graphmaker.Float("value", 1.5))
	one("Pad", 13, tensors{int64s(0, 1, 2, 0, 1, 0, 2, 3), scalar(-2)})
	wide := r.tensor(2, 3, 5, 4)
	for _, mode := range []string{"reflect", "edge", "constant"} {
		add(operatorCase{operator: "Pad", inputs: tensors{wide},
			constants:  tensors{int64s(0, 1, 2, 3, 0, 1, 4, 1)},
			attributes: attrs{graphmaker.Text("mode", mode)}})
	}
	add(operatorCase{operator: "Pad", inputs: tensors{wide},
		constants: tensors{int64s(0, -1, 2, 0, 0, 0, -1, -2)}})
	add(operatorCase{operator: "Pad", opset: 18, inputs: tensors{wide},
		constants: tensors{int64s(2, 1, 1, 0), scalar(3), int64s(-1, 1)}})
	add(operatorCase{operator: "Pad", opset: 19, inputs: tensors{wide},
		constants:  tensors{int64s(0, 1, 2, 3, 0, 1, 4, 1)},
		attributes: attrs{graphmaker.Text("mode", "wrap")}})
	add(operatorCase{operator: "Expand", inputs: tensors{r.tensor(shape[1], 1)},
		constants: tensors{int64s(2, 1, int64(shape[2]))}})
	add(operatorCase{operator: "Where", inputs: tensors{r.few(shape[2], 1), x, r.tensor(shape[3])},
		bools: []int{0}})
	fill := &onnxpb.AttributeProto{Name: named("value"), Type: onnxpb.AttributeProto_TENSOR.Enum(),
		T: &onnxpb.TensorProto{Dims: []int64{1}, DataType: number32(onnxpb.TensorProto_FLOAT),
			FloatData: []float32{2.5}}}
	add(operatorCase{operator: "ConstantOfShape", inputs: tensors{int64s(int64(shape[0]), 3)},
		attributes: attrs{fill}})
	add(operatorCase{operator: "Constant", inputs: tensors{x}, unused: true, attributes: attrs{fill}})
	add(operatorCase{operator: "Constant", inputs: tensors{x}, unused: true,
		attributes: attrs{{Name: named("value_floats"), Type: onnxpb.AttributeProto_FLOATS.Enum(),
			Floats: []float32{1, 2}}}})
	add(operatorCase{operator: "Constant", inputs: tensors{x}, unused: true,
		attributes: attrs{graphmaker.Ints("value_ints", 4, 5, 6)}})
}

func named(s string) *string { return &s }

func number32(t onnxpb.TensorProto_DataType) *int32 {
	v := int32(t)
	return &v
}

// elements has the operators that compute element by element.
func (r random) elements(shape []int, add func(operatorCase)) {
	x, row := r.tensor(shape...), r.positive(shape[1], 1, shape[3])
	whole := func(low, high int64) *native.Tensor {
		t := &native.Tensor{Shape: shape[:2], Data: make([]int64, shape[0]*shape[1])}
		for i := range t.Data.([]int64) {
			t.Data.([]int64)[i] = low + r.Int64N(high-low)
		}
		return t
	}
	for _, name := range []string{"Relu", "Sigmoid", "Tanh", "Erf", "Floor", "Ceil", "Abs", "Neg",
		"Exp", "Sin", "Cos", "Atan", "Sinh", "Cosh", "Asinh", "Softplus", "Softsign", "Sign"} {
		add(operatorCase{operator: name, inputs: tensors{x}})
	}
	for _, name := range []string{"Log", "Sqrt", "Reciprocal"} {
		add(operatorCase{operator: name, inputs: tensors{row}})
	}
	small := r.tensor(shape...)
	for i, v := range small.Data.([]float32) {
		small.Data.([]float32)[i] = max(-0.9, min(0.9, v))
	}
	for _, name := range []string{"Asin", "Acos", "Atanh", "Tan", "Round"} {
		add(operatorCase{operator: name, inputs: tensors{small}})
	}
	large := r.positive(shape...)
	for i := range large.Data.([]float32) {
		large.Data.([]float32)[i]++
	}
	add(operatorCase{operator: "Acosh", inputs: tensors{large}})
	add(operatorCase{operator: "HardSwish", opset: 14, inputs: tensors{x}})
	add(operatorCase{operator: "Gelu", opset: 20, inputs: tensors{x}})
	add(operatorCase{operator: "Gelu", opset: 20, inputs: tensors{x},
		attributes: attrs{graphmaker.Text("approximate", "tanh")}})
	add(operatorCase{operator: "Mish", opset: 18, inputs: tensors{x}})
	for _, name := range []string{"LeakyRelu", "Elu", "ThresholdedRelu"} {
		add(operatorCase{operator: name, inputs: tensors{x}})
		add(operatorCase{operator: name, inputs: tensors{x},
			attributes: attrs{graphmaker.Float("alpha", 0.3)}})
	}
	add(operatorCase{operator: "Selu", inputs: tensors{x},
		attributes: attrs{graphmaker.Float("alpha", 1.2), graphmaker.Float("gamma", 0.8)}})
	add(operatorCase{operator: "HardSigmoid", inputs: tensors{x},
		attributes: attrs{graphmaker.Float("alpha", 0.3), graphmaker.Float("beta", 0.4)}})
	add(operatorCase{operator: "Clip", opset: 7, inputs: tensors{x},
		attributes: attrs{graphmaker.Float("min", -0.5), graphmaker.Float("max", 0.7)}})
	add(operatorCase{operator: "Clip", inputs: tensors{x},
		constants: tensors{scalar(-0.5), scalar(0.7)}})
	add(operatorCase{operator: "Clip", inputs: tensors{x}, constants: tensors{nil, scalar(0.2)}})
	add(operatorCase{operator: "PRelu", inputs: tensors{x, row}})
	for _, name := range []string{"Add", "Sub", "Mul", "Div"} {
		add(operatorCase{operator: name, opset: []int64{7, 13, 14}[r.IntN(3)], inputs: tensors{x, row}})
		add(operatorCase{operator: name, inputs: tensors{row, x}})
		add(operatorCase{operator: name, inputs: tensors{x, x}})
		add(operatorCase{operator: name, inputs: tensors{x}, constants: tensors{scalar(1.5)}})
		add(operatorCase{operator: name, inputs: tensors{whole(-50, 50), whole(1, 9)}})
	}
	add(operatorCase{operator: "Pow", inputs: tensors{row, r.tensor(shape[3])}})
	add(operatorCase{operator: "Pow", inputs: tensors{x, int64s(3)}})
	for _, name := range []string{"Min", "Max", "Sum", "Mean"} {
		add(operatorCase{operator: name, inputs: tensors{x, row}, constants: tensors{scalar(0.1)}})
		add(operatorCase{operator: name, inputs: tensors{x}})
	}
	for _, name := range []string{"Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"} {
		add(operatorCase{operator: name, inputs: tensors{r.few(shape...), r.few(shape[3])},
			castOut: true})
		add(operatorCase{operator: name, inputs: tensors{whole(0, 3), whole(0, 3)}, castOut: true})
	}
	for _, name := range []string{"And", "Or", "Xor"} {
		add(operatorCase{operator: name, inputs: tensors{r.few(shape...), r.few(shape[3])},
			bools: []int{0, 1}, castOut: true})
	}
	add(operatorCase{operator: "Not", inputs: tensors{r.few(shape...)}, bools: []int{0},
		castOut: true})
}

// quantized has QuantizeLinear and DequantizeLinear, with one scale and with one for
// each index of an axis; halves and what is beyond the integers' range are among the
// values. What is dequantized is a constant: the binding feeds no small integers.
func (r random) quantized(shape []int, add func(operatorCase)) {
	x := r.tensor(shape...)
	values := x.Data.([]float32)
	for i := range values {
		if values[i] *= 100; r.IntN(3) == 0 {
			values[i] = 0.5 * float32(r.IntN(1000)-500)
		}
	}
	axis := r.IntN(4)
	axes := attrs{graphmaker.Int("axis", int64(axis-4*r.IntN(2)))}
	perAxis := r.positive(shape[axis])
	bytes, signed := make([]uint8, shape[axis]), make([]int8, shape[axis])
	for i := range bytes {
		bytes[i], signed[i] = uint8(r.IntN(256)), int8(r.IntN(256)-128)
	}
	unsigned := &native.Tensor{Shape: []int{shape[axis]}, Data: bytes}
	integers := &native.Tensor{Shape: []int{shape[axis]}, Data: signed}
	one := &native.Tensor{Shape: []int{}, Data: []uint8{uint8(r.IntN(256))}}
	add(operatorCase{operator: "QuantizeLinear", opset: 10, inputs: tensors{x},
		constants: tensors{scalar(1), one}, castOut: true})
	add(operatorCase{operator: "QuantizeLinear", inputs: tensors{x}, constants: tensors{scalar(0.7)},
		castOut: true})
	add(operatorCase{operator: "QuantizeLinear", inputs: tensors{x},
		constants: tensors{perAxis, unsigned}, attributes: axes, castOut: true})
	add(operatorCase{operator: "QuantizeLinear", inputs: tensors{x},
		constants: tensors{perAxis, integers}, attributes: axes, castOut: true})
	whole := &native.Tensor{Shape: shape, Data: make([]int8, len(values))}
	wide := &native.Tensor{Shape: shape, Data: make([]int32, len(values))}
	for i := range values {
		whole.Data.([]int8)[i], wide.Data.([]int32)[i] = int8(r.IntN(256)-128), int32(r.Uint32())
	}
	add(operatorCase{operator: "DequantizeLinear", inputs: tensors{x}, unused: true,
		constants: tensors{whole, perAxis, integers}, attributes: axes})
	add(operatorCase{operator: "DequantizeLinear", inputs: tensors{x}, unused: true,
		constants: tensors{wide, perAxis}, attributes: axes})
	add(operatorCase{operator: "DequantizeLinear", opset: 10, inputs: tensors{x}, unused: true,
		constants: tensors{whole, scalar(0.3)}})
	half := &native.Tensor{Shape: []int{5}, Data: []onnx.Float16{0x3555, 0x7bff, 1, 0x8000, 0xfc00}}
	add(operatorCase{operator: "Cast", inputs: tensors{x}, unused: true, constants: tensors{half},
		attributes: attrs{graphmaker.Int("to", int64(onnxpb.TensorProto_FLOAT))}})
	add(operatorCase{operator: "Cast", inputs: tensors{x},
		attributes: attrs{graphmaker.Int("to", int64(onnxpb.TensorProto_FLOAT16))}, castOut: true})
}

func newSource(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }
