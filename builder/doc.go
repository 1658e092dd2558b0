// Package builder describes a convolutional network as a value and lowers it
// to a Gorgonia graph.
//
// A Network is made once from a list of layers, is checked for shape errors
// when it is made, and never changes afterwards:
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
// The value knows nothing of training or of a file format. Two lowerings read
// it: this package's Lower, which builds the Gorgonia graph of one of two
// engines (stock operators, or Slipway's own), and package onnx, which writes
// the ONNX graph. Layer is a closed set, so that a test can walk every layer
// through both.
//
// Shapes at this package's boundary leave the batch out: C×H×W for images,
// F for features. Weights are laid out as PyTorch and ONNX lay them out
// (convolution O×I×KH×KW, dense Out×In); how an engine stores them is its own
// business and is converted once, by Variables.
package builder
