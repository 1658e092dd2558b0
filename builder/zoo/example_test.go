package zoo_test

import (
	"fmt"

	"slipway/builder"
	"slipway/builder/zoo"
)

// A ResNet of two small stages: what its blocks are called and where their shortcuts go.
func Example() {
	small := zoo.ResNet{Blocks: []int{1, 1}, Width: 8, SmallImages: true}
	network, err := small.Network("small", builder.Shape{3, 32, 32}, 10)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(network)
	// Output:
	// small: input 3×32×32
	// layer                  type                               output    parameters  takes
	// conv1                  Conv2D 3×3 padding 1×1             8×32×32   216
	// bn1                    BatchNorm                          8×32×32   16
	// relu                   ReLU                               8×32×32   0
	// layer1.0.conv1         Conv2D 3×3 padding 1×1             8×32×32   576
	// layer1.0.bn1           BatchNorm                          8×32×32   16
	// layer1.0.relu1         ReLU                               8×32×32   0
	// layer1.0.conv2         Conv2D 3×3 padding 1×1             8×32×32   576
	// layer1.0.bn2           BatchNorm                          8×32×32   16
	// layer1.0.add           Add                                8×32×32   0  layer1.0.bn2, relu
	// layer1.0.relu          ReLU                               8×32×32   0
	// layer2.0.conv1         Conv2D 3×3 stride 2×2 padding 1×1  16×16×16  1,152
	// layer2.0.bn1           BatchNorm                          16×16×16  32
	// layer2.0.relu1         ReLU                               16×16×16  0
	// layer2.0.conv2         Conv2D 3×3 padding 1×1             16×16×16  2,304
	// layer2.0.bn2           BatchNorm                          16×16×16  32
	// layer2.0.downsample.0  Conv2D 1×1 stride 2×2              16×16×16  128  layer1.0.relu
	// layer2.0.downsample.1  BatchNorm                          16×16×16  32
	// layer2.0.add           Add                                16×16×16  0  layer2.0.bn2, layer2.0.downsample.1
	// layer2.0.relu          ReLU                               16×16×16  0
	// avgpool                GlobalAvgPool                      16×1×1    0
	// flatten                Flatten                            16        0
	// fc                     Dense                              10        170
	// 5,266 parameters
}

func ExampleNew() {
	network, err := zoo.New("resnet20", builder.Shape{3, 32, 32}, 10)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(network.Name(), network.Output(), network.ParameterCount())
	_, err = zoo.New("resnet19", builder.Shape{3, 32, 32}, 10)
	fmt.Println(err)
	// Output:
	// resnet20 10 272474
	// no network is called "resnet19"; there are resnet20, resnet56, resnet18, resnet34, resnet50, mobilenet_v2, mobilenet_v3_small, squeezenet1_1, efficientnet_lite0, convnext_tiny
}
