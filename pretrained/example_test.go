package pretrained_test

import (
	"context"
	"fmt"
	"log"

	"slipway/pretrained"
)

// A pretrained network says how its pictures are fed. The first call brings its weights.
func ExampleLoad() {
	model, err := pretrained.Load(context.Background(), "efficientnet_lite0", pretrained.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(model.Sizing, "pixels", model.Pixels, "class 310 is", model.ClassNames[310])
}

func ExampleNames() {
	fmt.Println(pretrained.Names())
	// Output: [efficientnet_lite0]
}
