package main

import (
	"slipway/builder"
	"slipway/builder/zoo"
)

// The networks of the zoo, for CIFAR-10's images and for ImageNet's. Dropout, which they
// have before their last layer, is left out: each side would draw other masks, and the
// losses could not be compared.

func cifar() builder.Shape    { return builder.Shape{3, 32, 32} }
func imageNet() builder.Shape { return builder.Shape{3, 224, 224} }

const cifarClasses, imageNetClasses = 10, 1000

func resNet20() (*builder.Network, error) { return zoo.New("resnet20", cifar(), cifarClasses) }

func resNet18CIFAR() (*builder.Network, error) {
	return zoo.ResNet{Blocks: []int{2, 2, 2, 2}, SmallImages: true}.Network("resnet18_cifar", cifar(), cifarClasses)
}

func resNet18() (*builder.Network, error) { return zoo.New("resnet18", imageNet(), imageNetClasses) }

// mobileNetV2CIFAR has a stride of 1 in its first convolution and in its second stage, so
// that its maps are of 32×32 pixels where those for ImageNet are of 112×112 and 56×56.
func mobileNetV2CIFAR() (*builder.Network, error) {
	network, err := zoo.MobileNetV2{Stages: []zoo.Stage{
		{Expand: 1, Channels: 16, Blocks: 1, Stride: 1},
		{Expand: 6, Channels: 24, Blocks: 2, Stride: 1},
		{Expand: 6, Channels: 32, Blocks: 3, Stride: 2},
		{Expand: 6, Channels: 64, Blocks: 4, Stride: 2},
		{Expand: 6, Channels: 96, Blocks: 3, Stride: 1},
		{Expand: 6, Channels: 160, Blocks: 3, Stride: 2},
		{Expand: 6, Channels: 320, Blocks: 1, Stride: 1},
	}}.Network("mobilenet_v2_cifar", cifar(), cifarClasses)
	if err != nil {
		return nil, err
	}
	first := true
	return network.With(func(node builder.Node) builder.Layer {
		conv, ok := node.Layer.(builder.Conv2D)
		if !ok || !first {
			return node.Layer
		}
		first = false
		conv.Stride = builder.Square(1)
		return conv
	})
}

func mobileNetV2() (*builder.Network, error) {
	return zoo.MobileNetV2{}.Network("mobilenet_v2", imageNet(), imageNetClasses)
}

func efficientNetLite0() (*builder.Network, error) {
	return zoo.EfficientNetLite{}.Network("efficientnet_lite0", imageNet(), imageNetClasses)
}
