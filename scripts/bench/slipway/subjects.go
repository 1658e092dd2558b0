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
		all = append(all, subject{name: chain.name, set: setPeers, batches: []int{32, 256}, build: chain.build})
	}
	for _, known := range []struct {
		name    string
		batches []int
		build   func() (*builder.Network, error)
	}{
		{"resnet20", []int{32, 128}, resNet20},
		{"resnet18_cifar", []int{32}, resNet18CIFAR},
		{"resnet18", []int{8}, resNet18},
		{"mobilenet_v2_cifar", []int{32}, mobileNetV2CIFAR},
		{"mobilenet_v2", []int{8}, mobileNetV2},
		{"efficientnet_lite0", []int{8}, efficientNetLite0},
	} {
		all = append(all, subject{
			name: known.name, set: setNetworks, batches: known.batches, build: known.build, optimizer: momentum(),
		})
	}
	return all
}

// momentum is SGD as the networks' authors train them, at a learning rate that is low
// enough for the first losses to be compared: at 0.1 they grow, and the rounding with them.
func momentum() train.OptimizerConfig {
	return train.OptimizerConfig{Name: "sgd", LearningRate: 0.01, Momentum: 0.9, WeightDecay: 1e-4}
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
	return subject{}, nil, fmt.Errorf("unknown network %q; there are %s", name, strings.Join(networkNames(), ", "))
}
