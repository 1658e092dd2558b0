package classify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"log"
	"net/http"

	"slipway/dataset"
	"slipway/dataset/feed"
	"slipway/dataset/picture"
	"slipway/infer"
	"slipway/infer/classify"
	"slipway/onnx"
)

// digit is image i of MNIST's test set.
func digit(i int) image.Image {
	source, err := dataset.Open(context.Background(), "t10k", dataset.Options{})
	if err != nil {
		log.Fatal(err)
	}
	set, err := dataset.Load(context.Background(), source)
	if err != nil {
		log.Fatal(err)
	}
	return &image.Gray{Pix: set.Image(i), Stride: 28, Rect: image.Rect(0, 0, 28, 28)}
}

func Example() {
	c, err := classify.Open("../../graphs/e1.onnx", classify.WithTop(1))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	results, err := c.Classify(context.Background(), digit(0))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, %.2f\n", results[0].Label, results[0].Probability)
	// Output: 7, 1.00
}

// What the model says of itself.
func ExampleClassifier_Input() {
	c, err := classify.Open("../../graphs/e1.onnx")
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	in := c.Input()
	fmt.Printf("%d×%d×%d, fed as %s\n", in.Channels, in.Height, in.Width, in.Pixels)
	fmt.Println(c.Labels())
	// Output:
	// 1×28×28, fed as x
	// [0 1 2 3 4 5 6 7 8 9]
}

func ExampleClassifier_ClassifyBatch() {
	c, err := classify.Open("../../graphs/e1.onnx", classify.WithTop(1))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	answers, err := c.ClassifyBatch(context.Background(), []image.Image{digit(0), digit(1), digit(2)})
	if err != nil {
		log.Fatal(err)
	}
	for _, results := range answers {
		fmt.Print(results[0].Label, " ")
	}
	// Output: 7 2 1
}

// A model that was made elsewhere says nothing of its pictures: options do.
func ExampleWithSizing() {
	sizing, err := picture.ParseSizing("resize 28×28 pad bilinear")
	if err != nil {
		log.Fatal(err)
	}
	c, err := classify.Open("../../graphs/e1.onnx", classify.WithTop(1), classify.WithSizing(sizing),
		classify.WithPixels(feed.Pixels{}), // 0…255
		classify.WithLabels("zero", "one", "two", "three", "four", "five", "six", "seven", "eight",
			"nine"))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	stroke := image.NewGray(image.Rect(0, 0, 100, 140))
	for y := 20; y < 120; y++ {
		for x := 45; x < 57; x++ {
			stroke.Pix[y*stroke.Stride+x] = 255
		}
	}
	results, err := c.Classify(context.Background(), stroke)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Input().Sizing, "→", results[0].Label)
	// Output: resize 28×28 pad bilinear → one
}

// What does not apply is refused when the model is opened.
func ExampleWithLabels() {
	_, err := classify.Open("../../graphs/e1.onnx", classify.WithLabels("cat", "dog"))
	fmt.Println(err)
	// Output: ../../graphs/e1.onnx: WithLabels: there are 2 names, and the model gives 10 scores
}

// A fault of the picture is told from one of the model.
func ExampleClassifier_ClassifyReader() {
	c, err := classify.Open("../../graphs/e1.onnx")
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	_, err = c.ClassifyReader(context.Background(), bytes.NewReader([]byte("a text")))
	fmt.Println(errors.Is(err, classify.ErrPicture), errors.Is(err, picture.ErrFormat))
	// Output: true true
}

// A handler that answers a posted picture with JSON; docs/own-program.md has the whole program.
func ExampleClassifier_ClassifyReader_handler() {
	c, err := classify.Open("../../graphs/e1.onnx", classify.WithTop(3))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	http.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		results, err := c.ClassifyReader(r.Context(), http.MaxBytesReader(w, r.Body, 10<<20))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if err := json.NewEncoder(w).Encode(results); err != nil {
			log.Print(err)
		}
	})
}

// onnxruntime is in the program only where it is asked for. Its library must be installed.
func ExampleWithRuntime() {
	c, err := classify.Open("birds.onnx",
		classify.WithRuntime(func(m *onnx.Model) (classify.Runtime, error) {
			return infer.OpenONNXRuntime(context.Background(), m, infer.ONNXRuntimeOptions{Threads: 1})
		}))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
}
