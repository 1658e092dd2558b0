package builder

// ExperimentClasses is the number of classes that the experiments tell apart.
const ExperimentClasses = 10

// ExperimentInput is the shape of the experiments' images, 1×28×28.
func ExperimentInput() Shape { return Shape{1, 28, 28} }

// E1 is the first experiment's network for 28×28 grey images: two 5×5
// convolutions (32 and 64 filters), each rectified and pooled 2×2, then dense
// layers of 128 units and of one logit per class. With ten classes it has
// 184,586 parameters.
func E1(classes int) (*Network, error) {
	return New("e1", ExperimentInput(), append(e1Features(), Dense{Name: "fc2", Units: classes})...)
}

// e1Features are the layers that E1 and E2 share.
func e1Features() []Layer {
	return []Layer{
		Conv2D{Name: "conv1", Filters: 32, Kernel: Square(5)},
		ReLU{Name: "relu1"},
		MaxPool2D{Name: "pool1", Kernel: Square(2)},
		Conv2D{Name: "conv2", Filters: 64, Kernel: Square(5)},
		ReLU{Name: "relu2"},
		MaxPool2D{Name: "pool2", Kernel: Square(2)},
		Flatten{Name: "flatten"},
		Dense{Name: "fc1", Units: 128},
		ReLU{Name: "relu3"},
	}
}
