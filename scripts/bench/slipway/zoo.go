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
	return zoo.ResNet{Blocks: []int{2, 2, 2, 2}, SmallImages: true}.Network("resnet18_cifar", cifar(),
		cifarClasses)
}

func resNet18() (*builder.Network, error) {
	return zoo.New("resnet18", imageNet(), imageNetClasses)
}

func mobileNetV2CIFAR() (*builder.Network, error) {
	return zoo.MobileNetV2{SmallImages: true}.Network("mobilenet_v2_cifar", cifar(), cifarClasses)
}

func mobileNetV2() (*builder.Network, error) {
	return zoo.MobileNetV2{}.Network("mobilenet_v2", imageNet(), imageNetClasses)
}

func efficientNetLite0() (*builder.Network, error) {
	return zoo.EfficientNetLite{}.Network("efficientnet_lite0", imageNet(), imageNetClasses)
}
