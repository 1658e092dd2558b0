package corrupt_test

import (
	"context"
	"fmt"
	"log"

	"slipway/dataset"
	"slipway/dataset/corrupt"
)

// The same corruption of the same set has the same bytes on every machine.
func ExampleCorruption_Apply() {
	set, err := dataset.Open(context.Background(), "t10k", dataset.Options{})
	if err != nil {
		log.Fatal(err)
	}
	few, err := set.Subset([]int{0, 1, 2})
	if err != nil {
		log.Fatal(err)
	}
	rotated, err := corrupt.Corruption{Name: "rotate", Strength: 3}.Apply(few)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(rotated.Len(), rotated.Labels, rotated.Digest() != few.Digest())
	// Output: 3 [7 2 1] true
}

func ExampleParse() {
	c, err := corrupt.Parse("rotate:3")
	fmt.Println(c.Name, c.Strength, err)
	_, err = corrupt.Parse("rotat:3")
	fmt.Println(err != nil)
	// Output:
	// rotate 3 <nil>
	// true
}
