package main

import "slipway/builder"

// The small networks: chains of layers.

func grey() builder.Shape { return builder.Shape{1, 28, 28} }

// lenet5 is that of LeCun et al., Proc. IEEE 86(11), 1998, with plain average pooling and ReLU.
func lenet5() (*builder.Network, error) {
	return builder.New("lenet5", grey(),
		builder.Conv2D{Filters: 6, Kernel: builder.Square(5), Padding: builder.Square(2)},
		builder.ReLU{},
		builder.AvgPool2D{Kernel: builder.Square(2)},
		builder.Conv2D{Filters: 16, Kernel: builder.Square(5)},
		builder.ReLU{},
		builder.AvgPool2D{Kernel: builder.Square(2)},
		builder.Flatten{},
		builder.Dense{Units: 120},
		builder.ReLU{},
		builder.Dense{Units: 84},
		builder.ReLU{},
		builder.Dense{Units: 10},
	)
}

func conv4() (*builder.Network, error) {
	return builder.New("conv4", grey(),
		conv3x3(32, 1), builder.ReLU{},
		conv3x3(32, 1), builder.ReLU{},
		builder.MaxPool2D{Kernel: builder.Square(2)},
		conv3x3(64, 1), builder.ReLU{},
		conv3x3(64, 1), builder.ReLU{},
		builder.MaxPool2D{Kernel: builder.Square(2)},
		builder.Flatten{},
		builder.Dense{Units: 128}, builder.ReLU{},
		builder.Dense{Units: 10},
	)
}

func strided() (*builder.Network, error) {
	return builder.New("strided", builder.Shape{3, 32, 32},
		conv3x3(32, 2), builder.ReLU{},
		conv3x3(64, 2), builder.ReLU{},
		conv3x3(64, 2), builder.ReLU{},
		builder.Flatten{},
		builder.Dense{Units: 10},
	)
}

func mlp() (*builder.Network, error) {
	return builder.New("mlp", grey(),
		builder.Flatten{},
		builder.Dense{Units: 512}, builder.ReLU{},
		builder.Dense{Units: 512}, builder.ReLU{},
		builder.Dense{Units: 10},
	)
}

func conv3x3(filters, stride int) builder.Conv2D {
	return builder.Conv2D{Filters: filters, Kernel: builder.Square(3), Stride: builder.Square(stride),
		Padding: builder.Square(1)}
}
