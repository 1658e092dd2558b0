package main

import (
	"fmt"
	"strings"

	"slipway/builder"
)

func networkNames() []string { return []string{"e1", "lenet5", "conv4", "strided", "mlp"} }

// newNetwork returns the network of that name. The peers build theirs from its
// JSON, so that a network is written down once.
func newNetwork(name string) (*builder.Network, error) {
	grey := builder.Shape{1, 28, 28}
	switch name {
	case "e1":
		return builder.E1(10)
	case "lenet5":
		// LeCun et al., Proc. IEEE 86(11), 1998, with plain average pooling and ReLU.
		return builder.New(name, grey,
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
	case "conv4":
		return builder.New(name, grey,
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
	case "strided":
		return builder.New(name, builder.Shape{3, 32, 32},
			conv3x3(32, 2), builder.ReLU{},
			conv3x3(64, 2), builder.ReLU{},
			conv3x3(64, 2), builder.ReLU{},
			builder.Flatten{},
			builder.Dense{Units: 10},
		)
	case "mlp":
		return builder.New(name, grey,
			builder.Flatten{},
			builder.Dense{Units: 512}, builder.ReLU{},
			builder.Dense{Units: 512}, builder.ReLU{},
			builder.Dense{Units: 10},
		)
	}
	return nil, fmt.Errorf("unknown network %q; there are %s", name, strings.Join(networkNames(), ", "))
}

func conv3x3(filters, stride int) builder.Conv2D {
	return builder.Conv2D{Filters: filters, Kernel: builder.Square(3), Stride: builder.Square(stride), Padding: builder.Square(1)}
}
