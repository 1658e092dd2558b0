package augment_test

import (
	"encoding/json"
	"fmt"
	"log"

	"go.yaml.in/yaml/v3"

	"slipway/dataset/augment"
	"slipway/dataset/picture"
)

func ExampleParseList() {
	list, err := augment.ParseList("flip,crop=4:reflect,color-jitter=0.4:0.4:hue=0.1,cutout=8")
	if err != nil {
		log.Fatal(err)
	}
	for _, operation := range list {
		fmt.Printf("%-12s %v\n", operation.Name(), operation)
	}
	// What fits images of other shapes says so.
	fmt.Println(list.Check(1, 28, 28))
	// Output:
	// flip         flip
	// crop         crop=mode=reflect
	// color-jitter color-jitter=0.4:0.4:hue=0.1
	// cutout       cutout=8
	// augmentation: color-jitter=0.4:0.4:hue=0.1: grey images have neither saturation nor hue; leave these out
}

func ExampleParseList_mistyped() {
	_, err := augment.ParseList("fliip")
	fmt.Println(err)
	// Output:
	// augmentation: the operation "fliip" is unknown; there are flip, vertical-flip, shift, crop, random-resized-crop, rotation, scale, affine, color-jitter, grayscale, cutout, random-erasing, rand-augment, trivial-augment; did you mean "flip"?
}

// An image of four pixels is mirrored in some epochs, and always in the same.
func ExampleAugmenter_Apply() {
	augmenter, err := augment.New(augment.List{augment.Flip{}}, 2, 1, 1, 4)
	if err != nil {
		log.Fatal(err)
	}
	image, dst := []uint8{1, 2, 3, 4}, make([]uint8, 4)
	for epoch := range 5 {
		if err := augmenter.Apply(dst, image, epoch, 0); err != nil {
			log.Fatal(err)
		}
		fmt.Println(epoch, dst)
	}
	// Output:
	// 0 [4 3 2 1]
	// 1 [4 3 2 1]
	// 2 [1 2 3 4]
	// 3 [4 3 2 1]
	// 4 [4 3 2 1]
}

// A photograph of 40×60 pixels becomes 32×32, by one resize.
func ExampleAugmenter_ApplyOriginal() {
	list, err := augment.ParseList("random-resized-crop=0.25..1,flip")
	if err != nil {
		log.Fatal(err)
	}
	augmenter, err := augment.New(list, 1, 3, 32, 32)
	if err != nil {
		log.Fatal(err)
	}
	photograph, dst := picture.New(3, 40, 60), make([]uint8, 3*32*32)
	fmt.Println(list.NeedsOriginal(), augmenter.ApplyOriginal(dst, photograph, 0, 7))
	// Output: true <nil>
}

func ExampleList_MarshalYAML() {
	list, err := augment.ParseList("random-resized-crop=0.25..1,flip,rand-augment")
	if err != nil {
		log.Fatal(err)
	}
	data, err := yaml.Marshal(map[string]augment.List{"augmentation": list})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(data))
	// Output:
	// augmentation:
	//     - random-resized-crop: {scale: [0.25, 1], ratio: [0.75, 1.3333333333333333], filter: bilinear}
	//     - flip: {probability: 0.5}
	//     - rand-augment: {operations: 2, magnitude: 9, bins: 31}
}

// A shift and a rotation are recorded as they always were.
func ExampleRecord() {
	for _, text := range []string{"shift=2,rotation=10", "shift=2,flip"} {
		list, err := augment.ParseList(text)
		if err != nil {
			log.Fatal(err)
		}
		data, err := json.Marshal(augment.Record(list))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(data))
	}
	// Output:
	// {"shift":2,"rotation":10}
	// [{"shift":{"pixels":2}},{"flip":{"probability":0.5}}]
}
