// Package builder describes a convolutional network as a value and lowers it
// to a Gorgonia graph.
//
// A Network is made once, is checked for shape errors when it is made, and never changes
// afterwards. A chain of layers is made by New:
//
//	net, err := builder.New("lenet", builder.Shape{1, 28, 28},
//		builder.Conv2D{Filters: 6, Kernel: builder.Square(5), Padding: builder.Square(2)},
//		builder.ReLU{},
//		builder.AvgPool2D{Kernel: builder.Square(2)},
//		builder.Flatten{},
//		builder.Dense{Units: 10},
//	)
//	fmt.Println(net)                 // layer, output shape, parameters
//	weights := net.InitialWeights(1) // PyTorch's default initialisation, seed 1
//
// What branches and joins is wired by a Graph: Then appends layers to a value, Join takes several
// values, Scope gives layers the dotted names that PyTorch gives them. Package builder/zoo has
// networks that are known by name.
//
// A layer is a struct that says what it makes of its inputs (Infer), what it computes (Compute,
// plain loops in the public layout), and how it is written in ONNX (Export). Registered lists the
// layers there are. A layer of one's own, outside of this package, is another type with these
// methods.
//
// Each tensor has a role: it is learned, or kept by its layer as running statistics are. Its
// TensorSpec also says how its first values are drawn and whether weight decay may leave it out.
//
// The value knows nothing of training or of a file format. Lower builds the Gorgonia graph of one
// engine: native, on vectorised kernels; gorgonia, on stock operators, the oracle; or plain, for
// executors of their own. A layer without operators of its own on an engine runs there by its
// Compute. Package onnx writes the ONNX graph of what Operators gives.
//
// Shapes at this package's boundary leave the batch out: C×H×W for images,
// F for features. Weights are laid out as PyTorch and ONNX lay them out
// (convolution O×I×KH×KW, dense Out×In); how an engine stores them is its own
// business and is converted once, by Variables.
package builder
