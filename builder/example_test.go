package builder_test

import (
	"fmt"
	"log"

	"slipway/builder"
)

// A residual network (He et al., 2016): what a block learns is added to what it takes.
func ExampleGraph() {
	g := builder.NewGraph("residual", builder.Shape{3, 32, 32})
	conv := func(name string, filters, stride int) builder.Layer {
		return builder.Conv2D{Name: name, Filters: filters, Kernel: builder.Square(3),
			Stride: builder.Square(stride), Padding: builder.Square(1),
			NoBias: true, Init: builder.KaimingNormal}
	}
	block := func(name string, x builder.Value, filters, stride int) builder.Value {
		defer g.Scope(name)()
		y := g.Then(x,
			conv("conv1", filters, stride), builder.BatchNorm{Name: "bn1"}, builder.ReLU{},
			conv("conv2", filters, 1), builder.BatchNorm{Name: "bn2"})
		if stride != 1 {
			x = g.Then(x,
				builder.Conv2D{Name: "downsample.0", Filters: filters, Kernel: builder.Square(1),
					Stride: builder.Square(stride), NoBias: true},
				builder.BatchNorm{Name: "downsample.1"})
		}
		return g.Then(g.Join(builder.Add{}, y, x), builder.ReLU{})
	}
	x := g.Then(g.Input(), conv("conv1", 16, 1), builder.BatchNorm{Name: "bn1"}, builder.ReLU{})
	x = block("layer1.0", x, 16, 1)
	x = block("layer2.0", x, 32, 2)
	network, err := g.Network(g.Then(x, builder.GlobalAvgPool{}, builder.Flatten{},
		builder.Dense{Name: "fc", Units: 10}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(network)

	// Output:
	// residual: input 3×32×32
	// layer                  type                               output    parameters  takes
	// conv1                  Conv2D 3×3 padding 1×1             16×32×32  432
	// bn1                    BatchNorm                          16×32×32  32
	// relu1                  ReLU                               16×32×32  0
	// layer1.0.conv1         Conv2D 3×3 padding 1×1             16×32×32  2,304
	// layer1.0.bn1           BatchNorm                          16×32×32  32
	// layer1.0.relu1         ReLU                               16×32×32  0
	// layer1.0.conv2         Conv2D 3×3 padding 1×1             16×32×32  2,304
	// layer1.0.bn2           BatchNorm                          16×32×32  32
	// layer1.0.add1          Add                                16×32×32  0  layer1.0.bn2, relu1
	// layer1.0.relu2         ReLU                               16×32×32  0
	// layer2.0.conv1         Conv2D 3×3 stride 2×2 padding 1×1  32×16×16  4,608
	// layer2.0.bn1           BatchNorm                          32×16×16  64
	// layer2.0.relu1         ReLU                               32×16×16  0
	// layer2.0.conv2         Conv2D 3×3 padding 1×1             32×16×16  9,216
	// layer2.0.bn2           BatchNorm                          32×16×16  64
	// layer2.0.downsample.0  Conv2D 1×1 stride 2×2              32×16×16  512  layer1.0.relu2
	// layer2.0.downsample.1  BatchNorm                          32×16×16  64
	// layer2.0.add1          Add                                32×16×16  0  layer2.0.bn2, layer2.0.downsample.1
	// layer2.0.relu2         ReLU                               32×16×16  0
	// globalavgpool1         GlobalAvgPool                      32×1×1    0
	// flatten1               Flatten                            32        0
	// fc                     Dense                              10        330
	// 19,994 parameters
}
