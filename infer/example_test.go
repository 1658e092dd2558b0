package infer_test

import (
	"context"
	"fmt"
	"log"

	"slipway/dataset"
	"slipway/infer"
	"slipway/onnx"
)

// open returns a graph of the repository in a runtime, and the first images of MNIST's test set.
func open(ctx context.Context, path string, options infer.RuntimeOptions) (infer.Runtime,
	dataset.Source) {
	model, err := infer.LoadModel(path)
	if err != nil {
		log.Fatal(err)
	}
	runtime, err := infer.OpenRuntime(ctx, infer.RuntimeNative, model, options)
	if err != nil {
		log.Fatal(err)
	}
	whole, err := dataset.OpenSource(ctx, "t10k", dataset.Options{})
	if err != nil {
		log.Fatal(err)
	}
	first, err := dataset.First(whole, 500)
	if err != nil {
		log.Fatal(err)
	}
	return runtime, first
}

// A model is asked about a set, in Go alone.
func ExampleEvaluate() {
	ctx := context.Background()
	runtime, images := open(ctx, "../graphs/e1.onnx", infer.RuntimeOptions{})
	defer runtime.Close()
	result, err := infer.Evaluate(ctx, runtime, images, infer.EvaluateOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Info.Runtime, "has more than 475 of", result.Images, "right:",
		result.Correct > 475)
	// Output: native has more than 475 of 500 right: true
}

// Two graphs answer the same images; where they differ is counted.
func ExampleCompare() {
	ctx := context.Background()
	var logits []infer.Logits
	for _, path := range []string{"../graphs/e1.onnx", "../graphs/e2.onnx"} {
		runtime, images := open(ctx, path, infer.RuntimeOptions{})
		defer runtime.Close()
		result, err := infer.Evaluate(ctx, runtime, images, infer.EvaluateOptions{KeepLogits: true})
		if err != nil {
			log.Fatal(err)
		}
		logits = append(logits, result.Logits)
	}
	comparison, err := infer.Compare(logits[0], logits[1], infer.DefaultTolerance)
	if err != nil {
		log.Fatal(err)
	}
	changed, err := infer.ChangedLabels(logits[0], logits[1])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(comparison.Images, "compared; the labels that differ are named:",
		len(changed) == comparison.LabelsDiffer)
	// Output: 500 compared; the labels that differ are named: true
}

// Who will refuse a file, before anybody runs it there.
func ExampleSupport() {
	model, err := onnx.Read("../graphs/e1.onnx")
	if err != nil {
		log.Fatal(err)
	}
	verdicts, err := infer.Support(context.Background(), model)
	if err != nil {
		log.Fatal(err)
	}
	refusing := 0
	for _, verdict := range verdicts {
		if verdict.Expectation == infer.ExpectRefuses {
			refusing++
		}
	}
	fmt.Println(len(verdicts), "asked,", refusing, "refuse")
	// Output: 10 asked, 0 refuse
}
