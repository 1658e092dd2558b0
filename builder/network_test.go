package builder_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
)

func TestNewRejectsWhatDoesNotFit(t *testing.T) {
	image := builder.Shape{1, 28, 28}
	square := builder.Square
	first := func(layer builder.Layer) []builder.Layer { return []builder.Layer{layer} }
	for _, test := range []struct {
		name   string
		input  builder.Shape
		layers []builder.Layer
		// place is how the message says which layer is meant, remedy a part of
		// what it says of it.
		place, remedy string
	}{
		{"no layers", image, nil, "network test", "has no layers"},
		{"input of two dimensions", builder.Shape{28, 28}, first(builder.Flatten{}), "input shape 28×28",
			"C×H×W"},
		{"input of no dimensions", nil, first(builder.Flatten{}), "input shape", "C×H×W"},
		{"input with a dimension of 0", builder.Shape{1, 0, 28}, first(builder.Flatten{}), "input",
			"at least 1"},
		{"input with a negative dimension", builder.Shape{-784}, first(builder.Dense{Units: 1}), "input",
			"at least 1"},
		{"input beyond memory", builder.Shape{1 << 20, 1 << 20, 1 << 20}, first(builder.Flatten{}),
			"input", "more than"},
		{"nil layer", image, []builder.Layer{builder.ReLU{}, nil}, "layer 2 of 2", "is nil"},

		{"no filters", image, first(builder.Conv2D{Kernel: square(3)}), "(Conv2D conv1)", "0 filters"},
		{"negative filters", image, first(builder.Conv2D{Name: "stem", Filters: -1, Kernel: square(3)}),
			"(Conv2D stem)", "-1 filters"},
		{"convolution without a kernel", image, first(builder.Conv2D{Filters: 1}), "(Conv2D conv1)",
			"kernel 0×0"},
		{"convolution with half a kernel", image,
			first(builder.Conv2D{Filters: 1, Kernel: builder.Size{Height: 3}}), "(Conv2D conv1)",
			"kernel 3×0"},
		{"convolution with half a stride", image,
			first(builder.Conv2D{Filters: 1, Kernel: square(3), Stride: builder.Size{Width: 1}}),
			"(Conv2D conv1)", "stride 0×1"},
		{"convolution with negative padding", image,
			first(builder.Conv2D{Filters: 1, Kernel: square(3), Padding: square(-1)}), "(Conv2D conv1)",
			"padding -1×-1"},
		{"kernel over the input", image, first(builder.Conv2D{Filters: 1, Kernel: square(29)}),
			"(Conv2D conv1)", "larger than the input 28×28"},
		{"kernel over the padded input", builder.Shape{1, 4, 4},
			first(builder.Conv2D{Filters: 1, Kernel: square(7), Padding: square(1)}), "(Conv2D conv1)",
			"with padding 1×1"},
		{"kernel beyond counting", image,
			first(builder.Conv2D{Filters: 1, Kernel: square(1 << 40), Padding: square(1 << 40)}),
			"(Conv2D conv1)", "is a slip"},
		{"weights beyond memory", builder.Shape{1 << 16, 3, 3},
			first(builder.Conv2D{Filters: 1 << 16, Kernel: square(3)}), "(Conv2D conv1)", "more than"},
		{"output beyond memory", builder.Shape{1, 1 << 15, 1 << 15},
			first(builder.Conv2D{Filters: 1 << 10, Kernel: square(1)}), "(Conv2D conv1)", "more than"},
		{"convolution of a vector", builder.Shape{784},
			first(builder.Conv2D{Filters: 1, Kernel: square(3)}), "(Conv2D conv1)", "C×H×W"},

		{"maximum of a vector", builder.Shape{784}, first(builder.MaxPool2D{Kernel: square(2)}),
			"(MaxPool2D pool1)", "C×H×W"},
		{"maximum without a kernel", image, first(builder.MaxPool2D{}), "(MaxPool2D pool1)",
			"kernel 0×0"},
		{"maximum over the input", image, first(builder.MaxPool2D{Kernel: square(30)}),
			"(MaxPool2D pool1)", "larger than the input"},
		{"maximum with too much padding", image,
			first(builder.MaxPool2D{Kernel: square(3), Padding: square(2)}), "(MaxPool2D pool1)",
			"more than half the kernel"},
		{"maximum with negative stride", image,
			first(builder.MaxPool2D{Kernel: square(3), Stride: square(-1)}), "(MaxPool2D pool1)",
			"stride -1×-1"},
		{"mean of a vector", builder.Shape{784}, first(builder.AvgPool2D{Kernel: square(2)}),
			"(AvgPool2D pool1)", "C×H×W"},
		{"mean without a kernel", image, first(builder.AvgPool2D{}), "(AvgPool2D pool1)", "kernel 0×0"},
		{"mean with too much padding", image,
			first(builder.AvgPool2D{Kernel: square(3), Padding: builder.Size{Width: 2}}),
			"(AvgPool2D pool1)", "more than half the kernel"},
		{"pooled away", image, []builder.Layer{
			builder.MaxPool2D{Kernel: square(14)}, builder.MaxPool2D{Kernel: square(2)},
			builder.MaxPool2D{Kernel: square(2)},
		}, "layer 3 of 3: (MaxPool2D pool3)", "larger than the input 1×1"},

		{"dense on an image without units", image, first(builder.Dense{}), "(Dense fc1)", "0 units"},
		{"a leak of NaN", image, first(builder.LeakyReLU{Slope: math.NaN()}), "(LeakyReLU leakyrelu1)",
			"finite"},
		{"a leak beyond float32", image, first(builder.LeakyReLU{Slope: 1e300}), "(LeakyReLU leakyrelu1)",
			"finite"},
		{"an epsilon of 0 in float32", image, first(builder.LayerNorm{Epsilon: 1e-60}), "(LayerNorm ln1)",
			"epsilon 1e-60"},
		{"BatchNorm's epsilon of 0 in float32", image, first(builder.BatchNorm{Epsilon: 1e-60}),
			"(BatchNorm bn1)", "epsilon 1e-60"},
		{"BatchNorm's epsilon beyond float32", image, first(builder.BatchNorm{Epsilon: 1e300}),
			"(BatchNorm bn1)", "epsilon 1e+300"},
		{"BatchNorm's epsilon below 0", image, first(builder.BatchNorm{Epsilon: -1e-5}),
			"(BatchNorm bn1)", "epsilon -1e-05"},
		{"ELU upside down", image, first(builder.ELU{Alpha: -1}), "(ELU elu1)", "above 0"},
		{"a pad below 0", image, first(builder.Pad{Top: -1}), "(Pad pad1)", "top -1"},
		{"a pad beyond memory", image, first(builder.Pad{Left: math.MaxInt}), "(Pad pad1)", "slip"},
		{"a mirror wider than the map", image, first(builder.Pad{Right: 28, Mode: "reflect"}),
			"(Pad pad1)", "less than its size"},
		{"an unknown pad", image, first(builder.Pad{Mode: "edge"}), "(Pad pad1)", `"edge"`},
		{"a pad of a vector", builder.Shape{784}, first(builder.Pad{Top: 1}), "(Pad pad1)",
			"feature map"},
		{"parts that do not divide", image, first(builder.AdaptiveAvgPool{Output: builder.Square(3)}),
			"(AdaptiveAvgPool adaptiveavgpool1)", "does not divide"},
		{"no parts", image, first(builder.AdaptiveAvgPool{}), "(AdaptiveAvgPool adaptiveavgpool1)",
			"at least 1"},
		{"no parts across", image, first(builder.AdaptiveAvgPool{Output: builder.Size{Height: 1}}),
			"(AdaptiveAvgPool adaptiveavgpool1)", "at least 1"},
		{"no parts down", image, first(builder.AdaptiveAvgPool{Output: builder.Size{Width: 1}}),
			"(AdaptiveAvgPool adaptiveavgpool1)", "at least 1"},
		{"groups that do not divide", image, first(builder.GroupNorm{Groups: 2}), "(GroupNorm gn1)",
			"must divide"},
		{"no groups", image, first(builder.GroupNorm{}), "(GroupNorm gn1)", "must divide"},
		{"epsilon below 0", image, first(builder.LayerNorm{Epsilon: -1}), "(LayerNorm ln1)", "epsilon"},
		{"a scale without end", image, first(builder.Scale{Init: math.Inf(1)}), "(Scale scale1)",
			"finite"},
		{"a scale's tensor", image, first(builder.Scale{Tensor: "a b"}), "(Scale scale1)", `"a b"`},
		{"dropping every path", image, first(builder.DropPath{P: 1}), "(DropPath droppath1)",
			"outside 0 ≤ p < 1"},
		{"dropping channels of a vector", builder.Shape{784}, first(builder.Dropout2D{P: 0.5}),
			"(Dropout2D dropout2d1)", "feature map"},
		{"a product of one", image, first(builder.Mul{}), "(Mul mul1)", "two inputs"},
		{"no units", builder.Shape{784}, first(builder.Dense{}), "(Dense fc1)", "0 units"},
		{"dense weights beyond memory", builder.Shape{1 << 20}, first(builder.Dense{Units: 1 << 20}),
			"(Dense fc1)", "more than"},
		{"dropout of everything", image, first(builder.Dropout{P: 1}), "(Dropout dropout1)",
			"outside 0 ≤ p < 1"},
		{"negative dropout", image, first(builder.Dropout{Name: "drop", P: -0.5}), "(Dropout drop)",
			"outside 0 ≤ p < 1"},
		{"softmax of an image", image, first(builder.Softmax{}), "(Softmax softmax1)",
			"put Flatten before it"},
		{"softmax before the end", builder.Shape{10}, []builder.Layer{builder.Softmax{},
			builder.Dense{Units: 2}}, "layer 2 of 2", "follows softmax1, and Softmax may only come last"},

		{"a name given twice", image, []builder.Layer{builder.ReLU{Name: "a"},
			builder.Flatten{Name: "a"}}, "layer 2 of 2", `"a" is taken`},
		{"a name with two dots", image, first(builder.ReLU{Name: "block..relu"}), "(ReLU)",
			`"block..relu"`},
		{"a name that ends with a dot", image, first(builder.ReLU{Name: "block."}), "(ReLU)", `"block."`},
		{"a name with a slash", image, first(builder.Flatten{Name: "a/b"}), "(Flatten)", "use letters"},
		{"a name in another alphabet", image, first(builder.Flatten{Name: "größe"}), "(Flatten)",
			"use letters"},
	} {
		t.Run(test.name, func(t *testing.T) {
			network, err := builder.New("test", test.input, test.layers...)
			if err == nil {
				t.Fatalf("there is no error, but %v", network)
			}
			for _, part := range []string{"network test", test.place, test.remedy} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
		})
	}
}

func TestNewRejectsBadNetworkNames(t *testing.T) {
	for _, name := range []string{"", "a b", "../e1", "1", "-", "a.b", "é"} {
		if _, err := builder.New(name, builder.Shape{4}, builder.ReLU{}); err == nil ||
			!strings.Contains(err.Error(), fmt.Sprintf("%q", name)) {
			t.Errorf("name %q: error is %v, want one that names it", name, err)
		}
	}
}

func TestLayersWithoutNamesAreNumberedAroundThoseWithNames(t *testing.T) {
	network := mustNew(t, "names", builder.Shape{1, 12, 12},
		builder.Conv2D{Filters: 2, Kernel: builder.Square(3)},
		builder.ReLU{},
		builder.MaxPool2D{Kernel: builder.Square(2)},
		builder.Conv2D{Name: "conv2", Filters: 2, Kernel: builder.Square(1)},
		builder.Conv2D{Filters: 2, Kernel: builder.Square(1)},
		builder.AvgPool2D{Kernel: builder.Square(1)},
		builder.Flatten{},
		builder.ReLU{Name: "fc1"},
		builder.Dense{Units: 2},
		builder.Dropout{P: 0.5},
		builder.ReLU{},
		builder.Softmax{},
	)
	var names []string
	for _, node := range network.Nodes() {
		names = append(names, node.Name)
	}
	want := []string{"conv1", "relu1", "pool1", "conv2", "conv3", "pool2", "flatten1", "fc1", "fc2",
		"dropout1", "relu2", "softmax1"}
	if !slices.Equal(names, want) {
		t.Errorf("layers are named %v, want %v", names, want)
	}
	if node, ok := network.Node("fc2"); !ok || node.Layer.Kind() != "Dense" ||
		node.Tensors[0].Name != "fc2.weight" {
		t.Errorf("Node(fc2) is %+v, %v", node, ok)
	}
	if _, ok := network.Node("fc3"); ok {
		t.Error("there is a layer fc3")
	}
}

// Output sizes as PyTorch 2.15 gives them.
func TestWindowSizes(t *testing.T) {
	for _, test := range []struct {
		layer     builder.Layer
		in, after string
	}{
		{builder.Conv2D{Filters: 4, Kernel: builder.Square(5)}, "3×28×28", "4×24×24"},
		{builder.Conv2D{Filters: 4, Kernel: builder.Square(3), Stride: builder.Square(2),
			Padding: builder.Square(1)}, "3×28×27", "4×14×14"},
		{builder.Conv2D{Filters: 1, Kernel: builder.Size{Height: 2, Width: 5},
			Stride: builder.Size{Height: 3, Width: 1}, Padding: builder.Size{Width: 2}}, "1×7×5", "1×2×5"},
		{builder.Conv2D{Filters: 9, Kernel: builder.Size{Height: 7, Width: 5}}, "1×7×5", "9×1×1"},
		{builder.MaxPool2D{Kernel: builder.Square(2)}, "3×7×9", "3×3×4"},
		{builder.MaxPool2D{Kernel: builder.Square(3), Stride: builder.Square(2),
			Padding: builder.Square(1)}, "3×7×8", "3×4×4"},
		{builder.AvgPool2D{Kernel: builder.Size{Height: 1, Width: 4}}, "3×7×9", "3×7×2"},
		{builder.Flatten{}, "3×7×9", "189"},
		{builder.Dropout{P: 0.5}, "3×7×9", "3×7×9"},
	} {
		var in builder.Shape
		for _, part := range strings.Split(test.in, "×") {
			var dimension int
			if _, err := fmt.Sscan(part, &dimension); err != nil {
				t.Fatal(err)
			}
			in = append(in, dimension)
		}
		network := mustNew(t, "sizes", in, test.layer)
		if got := network.Output().String(); got != test.after {
			t.Errorf("%+v on %s gives %s, want %s", test.layer, test.in, got, test.after)
		}
	}
}

// Windows and shapes are refused just outside of what there can be, and taken just inside.
func TestTheLimitsOfWindowsAndShapes(t *testing.T) {
	size := func(height, width int) builder.Size { return builder.Size{Height: height, Width: width} }
	const most = 1 << 31
	pool := func(kernel, stride, padding builder.Size) builder.Layer {
		return builder.MaxPool2D{Kernel: kernel, Stride: stride, Padding: padding}
	}
	conv := func(kernel, stride, padding builder.Size) builder.Layer {
		return builder.Conv2D{Filters: 1, Kernel: kernel, Stride: stride, Padding: padding}
	}
	for _, test := range []struct {
		in    builder.Shape
		layer builder.Layer
		want  string // of the error
	}{
		{builder.Shape{1, 3, 4}, conv(size(3, 4), size(1, 1), size(0, 0)), ""},
		{builder.Shape{1, 3, 4}, conv(size(1, 1), size(1, 1), size(0, 0)), ""},
		{builder.Shape{1, 3, 4}, conv(size(0, 1), size(1, 1), size(0, 0)), "kernel 0×1: each side"},
		{builder.Shape{1, 3, 4}, conv(size(1, 0), size(1, 1), size(0, 0)), "kernel 1×0: each side"},
		{builder.Shape{1, 3, 4}, conv(size(1, 1), size(0, 1), size(0, 0)), "stride 0×1: each side"},
		{builder.Shape{1, 3, 4}, conv(size(1, 1), size(1, 0), size(0, 0)), "stride 1×0: each side"},
		{builder.Shape{1, 3, 4}, conv(size(3, 3), size(1, 1), size(-1, 0)), "padding -1×0: neither"},
		{builder.Shape{1, 3, 4}, conv(size(3, 3), size(1, 1), size(0, -1)), "padding 0×-1: neither"},
		{builder.Shape{1, 3, 4}, conv(size(4, 4), size(1, 1), size(0, 0)),
			"kernel 4×4 is larger than the input 3×4"},
		{builder.Shape{1, 3, 4}, conv(size(3, 5), size(1, 1), size(0, 0)),
			"kernel 3×5 is larger than the input 3×4"},
		{builder.Shape{1, 3, 4}, conv(size(5, 6), size(1, 1), size(1, 1)), ""},
		{builder.Shape{1, 3, 4}, conv(size(6, 6), size(1, 1), size(1, 1)), "kernel 6×6 is larger"},
		{builder.Shape{1, 3, 4}, conv(size(5, 7), size(1, 1), size(1, 1)), "kernel 5×7 is larger"},
		{builder.Shape{1, 3, 4}, pool(size(most, 1), size(1, 1), size(0, 0)), "is a slip"},
		{builder.Shape{1, 3, 4}, pool(size(1, most), size(1, 1), size(0, 0)), "is a slip"},
		{builder.Shape{1, 3, 4}, pool(size(2, 2), size(most, 1), size(0, 0)),
			"stride 2147483648×1: a side of 2147483648 or more is a slip"},
		{builder.Shape{1, 3, 4}, conv(size(2, 2), size(1, most), size(0, 0)), "is a slip"},
		{builder.Shape{1, 3, 4}, conv(size(3, 3), size(1, 1), size(most, 0)), "is a slip"},
		{builder.Shape{1, 3, 4}, conv(size(3, 3), size(1, 1), size(0, most)), "is a slip"},
		{builder.Shape{1, 1 << 15, 1 << 16}, builder.ReLU{}, ""},
		{builder.Shape{1, 1 << 15, 1<<16 + 1}, builder.ReLU{}, "holds more than 2147483648 values"},
	} {
		_, err := builder.New("limits", test.in, test.layer)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v on %v: %v, want %q", test.layer, test.in, err, test.want)
		}
	}
}

func TestSummaryOfE1(t *testing.T) {
	network, err := builder.E1(10)
	if err != nil {
		t.Fatal(err)
	}
	want := `e1: input 1×28×28
layer    type           output    parameters
conv1    Conv2D 5×5     32×24×24  832
relu1    ReLU           32×24×24  0
pool1    MaxPool2D 2×2  32×12×12  0
conv2    Conv2D 5×5     64×8×8    51,264
relu2    ReLU           64×8×8    0
pool2    MaxPool2D 2×2  64×4×4    0
flatten  Flatten        1024      0
fc1      Dense          128       131,200
relu3    ReLU           128       0
fc2      Dense          10        1,290
184,586 parameters
`
	if got := network.String(); got != want {
		t.Errorf("summary is\n%s\nwant\n%s", got, want)
	}
	if got := network.ParameterCount(); got != 184586 {
		t.Errorf("E1 has %d parameters, want 184,586", got)
	}
	if classes, err := network.Classes(); classes != 10 || err != nil {
		t.Errorf("Classes is %d, %v", classes, err)
	}
}

func TestE2IsE1WithDropoutBeforeTheLogits(t *testing.T) {
	e1, err := builder.E1(7)
	if err != nil {
		t.Fatal(err)
	}
	e2, err := builder.E2(7, 0.2)
	if err != nil {
		t.Fatal(err)
	}
	if e2.ParameterCount() != e1.ParameterCount() {
		t.Errorf("E2 has %d parameters, E1 %d", e2.ParameterCount(), e1.ParameterCount())
	}
	nodes := e2.Nodes()
	at := len(nodes) - 2
	if dropout, ok := nodes[at].Layer.(builder.Dropout); !ok || dropout.P != 0.2 ||
		nodes[at-1].Name != "relu3" || nodes[at+1].Name != "fc2" {
		t.Errorf("the last layers of E2 are\n%v", e2)
	}
	if !strings.Contains(e2.String(), "Dropout p=0.2") {
		t.Errorf("the summary does not say the probability:\n%v", e2)
	}
	for _, p := range []float64{-1, 1} {
		if _, err := builder.E2(10, p); err == nil {
			t.Errorf("E2 takes the probability %v", p)
		}
	}
	if _, err := builder.E1(0); err == nil {
		t.Error("E1 takes 0 classes")
	}
}

func TestSummaryShowsStrideAndPadding(t *testing.T) {
	network := mustNew(t, "windows", builder.Shape{3, 9, 9},
		builder.Conv2D{Filters: 2, Kernel: builder.Square(3), Stride: builder.Square(2),
			Padding: builder.Square(1)},
		builder.AvgPool2D{Kernel: builder.Square(2), Stride: builder.Square(1)},
		builder.MaxPool2D{Kernel: builder.Size{Height: 2, Width: 3}, Padding: builder.Size{Width: 1}})
	for _, want := range []string{"Conv2D 3×3 stride 2×2 padding 1×1", "AvgPool2D 2×2 stride 1×1",
		"MaxPool2D 2×3 padding 0×1"} {
		if !strings.Contains(network.String(), want) {
			t.Errorf("the summary has no %q:\n%v", want, network)
		}
	}
}

func TestClassesNeedsAVector(t *testing.T) {
	network := mustNew(t, "map", builder.Shape{1, 4, 4}, builder.ReLU{})
	if _, err := network.Classes(); err == nil ||
		!strings.Contains(err.Error(), "add Flatten and Dense") {
		t.Errorf("error is %v, want one that says what to add", err)
	}
}

// A network never changes, whatever its caller does with what it gave or got.
func TestNetworkSharesNothingThatCanBeWritten(t *testing.T) {
	input := builder.Shape{1, 6, 6}
	network := mustNew(t, "still", input, builder.Flatten{}, builder.Dense{Units: 3})
	before := network.String()
	input[0] = 99
	network.Input()[0] = 99
	network.Output()[0] = 99
	network.Nodes()[0].Name = "changed"
	network.Parameters()[0].Name = "changed"
	if after := network.String(); after != before {
		t.Errorf("the network changed from\n%s to\n%s", before, after)
	}
	if network.Parameters()[0].Name != "fc1.weight" || network.Nodes()[0].Name != "flatten1" {
		t.Error("the network's layers or parameters were renamed from outside")
	}
}

func mustNew(t testing.TB, name string, input builder.Shape,
	layers ...builder.Layer) *builder.Network {
	t.Helper()
	network, err := builder.New(name, input, layers...)
	if err != nil {
		t.Fatal(err)
	}
	return network
}

// A name that is reserved is not made up before the layer that has it comes.
func TestReservedNamesAreNotMadeUp(t *testing.T) {
	g := builder.NewGraph("reserved", builder.Shape{4})
	g.Reserve("fc1", "relu1")
	network, err := g.Network(g.Then(g.Input(), builder.Dense{Units: 3}, builder.ReLU{},
		builder.Dense{Name: "fc1", Units: 2}))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, node := range network.Nodes() {
		names = append(names, node.Name)
	}
	if want := []string{"fc2", "relu2", "fc1"}; !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
}
