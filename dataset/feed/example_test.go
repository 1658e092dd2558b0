package feed_test

import (
	"fmt"
	"log"

	"slipway/dataset/feed"
)

func ExampleStandardPixels() {
	pixels, err := feed.StandardPixels(0.5, 0.25)
	if err != nil {
		log.Fatal(err)
	}
	values := make([]float32, 2)
	if err := pixels.Feed(values, []uint8{0, 255}, 1, 2); err != nil {
		log.Fatal(err)
	}
	fmt.Println(pixels, values)
	// Output: (x/255-0.5)/0.25 [-2 2]
}

// Three channels of one pixel each, blue first.
func ExamplePixels_ReversedChannels() {
	values := make([]float32, 3)
	feed.Pixels{}.ReversedChannels().Image(values, []uint8{10, 20, 30}, 3)
	fmt.Println(values)
	// Output: [30 20 10]
}

// What commands take as -pixels.
func ExampleParse() {
	for _, text := range []string{"0-1", "0.1307,0.3081", "mean=0.5,0.5,0.25,std=0.25"} {
		pixels, scales, _, err := feed.Parse(text)
		fmt.Println(pixels, len(scales), err)
	}
	// Output:
	// x/255 1 <nil>
	// (x/255-0.1307)/0.3081 1 <nil>
	// (x/255-(0.5,0.5,0.25))/(0.25,0.25,0.25) 3 <nil>
}
