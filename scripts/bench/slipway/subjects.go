package main

import (
	"fmt"
	"strings"

	"slipway/builder"
	"slipway/train"
)

// The two sets of networks: small ones, and those that people train. Each has a
// page of its own.
const (
	setPeers    = "peers"
	setNetworks = "networks"
)

// subject is a network that is measured, and how it is trained meanwhile.
type subject struct {
	name string
	set  string
	// batches are the numbers of images a step that are measured.
	batches []int
	build   func() (*builder.Network, error)
	// optimizer is Adam with its defaults if zero.
	optimizer train.OptimizerConfig
}

func subjects() []subject {
	var all []subject
	for _, chain := range []struct {
		name  string
		build func() (*builder.Network, error)
	}{
		{"e1", func() (*builder.Network, error) { return builder.E1(10) }},
		{"lenet5", lenet5}, {"conv4", conv4}, {"strided", strided}, {"mlp", mlp},
	} {
		all = append(all, subject{name: chain.name, set: setPeers, batches: []int{32, 256},
			build: chain.build})
	}
	for _, known := range []struct {
		name    string
		batches []int
		build   func() (*builder.Network, error)
		rate    float64
	}{
		{"resnet20", []int{32, 128}, resNet20, 0.01},
		{"resnet18_cifar", []int{32}, resNet18CIFAR, 0.001},
		{"resnet18", []int{8}, resNet18, 0.0005},
		{"mobilenet_v2_cifar", []int{32}, mobileNetV2CIFAR, 0.00005},
		{"mobilenet_v2", []int{8}, mobileNetV2, 0.00005},
		{"efficientnet_lite0", []int{8}, efficientNetLite0, 0.00005},
	} {
		all = append(all, subject{
			name: known.name, set: setNetworks, batches: known.batches, build: known.build,
			optimizer: momentum(known.rate),
		})
	}
	return all
}

// momentum is SGD as the networks' authors train them, at a learning rate so low that the
// first losses can be compared. Rounding grows with every step, and faster the rougher the
// loss is: that of a new MobileNetV2, whose depthwise convolutions begin so small that
// normalisation enlarges them a hundred times, is the roughest.
func momentum(rate float64) train.OptimizerConfig {
	return train.OptimizerConfig{Name: "sgd", LearningRate: rate, Momentum: 0.9, WeightDecay: 1e-4}
}

func networkNames() []string {
	var names []string
	for _, s := range subjects() {
		names = append(names, s.name)
	}
	return names
}

// newSubject returns the subject of that name and its network. The peers build theirs
// from its JSON, so that a network is written down once.
func newSubject(name string) (subject, *builder.Network, error) {
	for _, s := range subjects() {
		if s.name == name {
			network, err := s.build()
			return s, network, err
		}
	}
	return subject{}, nil, fmt.Errorf("unknown network %q; there are %s", name,
		strings.Join(networkNames(), ", "))
}
