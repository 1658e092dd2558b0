package infer

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"slipway/internal/datasettest"
)

func TestEvaluateIsTheSameForEachBatchSize(t *testing.T) {
	set := datasettest.Digits(t, 250)
	var first *Result
	for _, batch := range []int{1, 7, 100, 0, 1000} {
		r, err := openONNXRuntime(t, "small.onnx", ONNXRuntimeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		done := 0
		result, err := Evaluate(t.Context(), r, set, EvaluateOptions{Batch: batch, KeepLogits: true,
			Progress: func(n, _ int) { done = n }})
		if err != nil {
			t.Fatal(err)
		}
		if done != 250 || result.Logits.N != 250 || len(result.Predictions) != 250 ||
			result.Elapsed <= 0 {
			t.Errorf("batch %d: %d done, %d logits, %d predictions, %v", batch, done, result.Logits.N,
				len(result.Predictions), result.Elapsed)
		}
		if first == nil {
			first = result
			continue
		}
		c, err := Compare(first.Logits, result.Logits, DefaultTolerance)
		if err != nil {
			t.Fatal(err)
		}
		if c.MaxRelDiff > 1e-6 || result.Correct != first.Correct {
			t.Errorf("batch %d: %d correct, %d with batch 1; logits differ by %g of their range", batch,
				result.Correct, first.Correct, c.MaxRelDiff)
		}
	}
}

func TestEvaluateOfTooFewClasses(t *testing.T) {
	r, err := openONNXRuntime(t, "five.onnx", ONNXRuntimeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Evaluate(t.Context(), r, datasettest.Digits(t, 10), EvaluateOptions{}); err == nil ||
		!strings.Contains(err.Error(), "5 classes") {
		t.Errorf("%v", err)
	}
}

func TestNaNIsNoAnswer(t *testing.T) {
	r, err := openONNXRuntime(t, "nan.onnx", ONNXRuntimeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	result, err := Evaluate(t.Context(), r, datasettest.Digits(t, 10), EvaluateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if result.Unanswered != 10 || result.Correct != 0 {
		t.Errorf("%d unanswered, %d correct, want 10 and 0", result.Unanswered, result.Correct)
	}
}

func BenchmarkBatch(b *testing.B) {
	set := datasettest.Digits(b, 1024)
	model := os.Getenv("SLIPWAY_BENCHMARK_MODEL")
	if model == "" {
		b.Skip("SLIPWAY_BENCHMARK_MODEL names no ONNX file to measure, such as graphs/e1.onnx")
	}
	loaded, err := LoadModel(model)
	if err != nil {
		b.Fatal(err)
	}
	needLibrary(b)
	for _, size := range []int{1, 16, 32, 64, 128, 256, 512, 1024} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			r, err := OpenONNXRuntime(b.Context(), loaded, ONNXRuntimeOptions{Device: DeviceCPU})
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			images := 0
			for b.Loop() {
				result, err := Evaluate(b.Context(), r, set, EvaluateOptions{Batch: size})
				if err != nil {
					b.Fatal(err)
				}
				images += result.Images
			}
			b.ReportMetric(float64(images)/b.Elapsed().Seconds(), "images/s")
		})
	}
}
