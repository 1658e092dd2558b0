package train_test

import (
	"fmt"

	"slipway/builder"
	"slipway/train"
)

// A recipe for uneven classes: rare ones count more, labels are smoothed, and images are mixed.
func ExampleLoss() {
	network, err := builder.E1(2)
	if err != nil {
		fmt.Println(err)
		return
	}
	config, err := train.Config{
		Loss: train.Loss{
			Smoothing:    0.1,
			ClassWeights: train.ClassWeights{Balanced: true}, // or Values: []float64{1, 50}
		},
		Mix: train.Mix{MixUp: 0.2, CutMix: 1},
	}.WithDefaults(network)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(config.Loss)
	fmt.Println(config.Mix)

	_, err = train.Config{Loss: train.Loss{ClassWeights: train.ClassWeights{Values: []float64{1, 2,
		3}}}}.WithDefaults(network)
	fmt.Println(err)
	// Output:
	// cross-entropy, labels smoothed by 0.1, class weights balanced
	// mixup with α = 0.2 or cutmix with α = 1
	// 3 class weights, and network e1 has 2 classes; give a number for each
}
