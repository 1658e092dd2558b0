package convert_test

import (
	"strings"
	"testing"

	"slipway/builder"
)

// networks returns small networks that between them have every layer, with
// strides, padding, odd sizes and rectangular windows.
func networks(t *testing.T) map[string]*builder.Network {
	t.Helper()
	made := make(map[string]*builder.Network)
	add := func(name string, input builder.Shape, layers ...builder.Layer) {
		network, err := builder.New(name, input, layers...)
		if err != nil {
			t.Fatal(err)
		}
		made[name] = network
	}
	square := builder.Square
	add("conv", builder.Shape{1, 7, 7}, builder.Conv2D{Filters: 3, Kernel: square(3)})
	add("conv_strided", builder.Shape{2, 9, 7},
		builder.Conv2D{Filters: 3, Kernel: builder.Size{Height: 3, Width: 2},
			Stride: builder.Size{Height: 2, Width: 3}, Padding: builder.Size{Height: 1, Width: 2}})
	add("conv_1x1", builder.Shape{3, 1, 5}, builder.Conv2D{Filters: 2, Kernel: square(1)})
	add("relu", builder.Shape{2, 3, 5}, builder.ReLU{})
	add("max_pool", builder.Shape{2, 6, 6}, builder.MaxPool2D{Kernel: square(2)})
	add("max_pool_padded", builder.Shape{2, 7, 5},
		builder.MaxPool2D{Kernel: builder.Size{Height: 3, Width: 2},
			Stride: builder.Size{Height: 2, Width: 1}, Padding: square(1)})
	add("avg_pool", builder.Shape{2, 7, 7}, builder.AvgPool2D{Kernel: square(2)})
	add("avg_pool_padded", builder.Shape{2, 7, 5},
		builder.AvgPool2D{Kernel: square(3), Stride: builder.Size{Height: 2, Width: 3},
			Padding: square(1)})
	add("flatten", builder.Shape{2, 3, 4}, builder.Flatten{})
	add("dense", builder.Shape{5}, builder.Dense{Units: 3})
	add("dropout", builder.Shape{4}, builder.Dropout{P: 0.5})
	add("dropout_last", builder.Shape{4}, builder.Dense{Units: 3}, builder.Dropout{P: 0.5})
	add("softmax", builder.Shape{6}, builder.Softmax{})
	add("lenet", builder.Shape{1, 15, 13},
		builder.Conv2D{Filters: 4, Kernel: square(5), Padding: square(2)},
		builder.ReLU{},
		builder.AvgPool2D{Kernel: square(2)},
		builder.Conv2D{Filters: 6, Kernel: square(3), Stride: square(2)},
		builder.ReLU{},
		builder.MaxPool2D{Kernel: square(2), Stride: square(1)},
		builder.Flatten{},
		builder.Dense{Units: 9},
		builder.ReLU{},
		builder.Dropout{P: 0.25},
		builder.Dense{Units: 4},
		builder.Softmax{},
	)
	return made
}

// A layer that the builder gets must be exported, and tested: here, or by its cases.
func TestNetworksHaveEveryLayer(t *testing.T) {
	seen := make(map[string]bool)
	for _, network := range networks(t) {
		for _, node := range network.Nodes() {
			seen[node.Layer.Kind()] = true
		}
	}
	for _, c := range builder.Cases() {
		seen[c.Layer.Kind()] = true // TestEveryCaseInTheRuntimes
	}
	var missing []string
	for _, kind := range builder.Kinds() {
		if !seen[kind] {
			missing = append(missing, kind)
		}
	}
	if len(missing) > 0 {
		t.Errorf("no network of this test has the layers %s: add one, and their lowering",
			strings.Join(missing, ", "))
	}
}
