package infer_test

import (
	"context"
	"fmt"
	"log"

	"slipway/infer"
)

// average is a runtime of one's own: several runtimes, whose scores it averages.
type average []infer.Runtime

func (a average) Info() infer.Info {
	info := a[0].Info()
	info.Runtime, info.Version = "average", fmt.Sprint("of ", len(a))
	return info
}

func (a average) Run(ctx context.Context, batch infer.Batch) (infer.Logits, error) {
	var sum infer.Logits
	for i, one := range a {
		scores, err := one.Run(ctx, batch)
		if err != nil {
			return infer.Logits{}, fmt.Errorf("runtime %d of %d: %w", i+1, len(a), err)
		}
		if i == 0 {
			sum = infer.Logits{N: scores.N, K: scores.K, Values: make([]float32, len(scores.Values))}
		}
		for j, value := range scores.Values {
			sum.Values[j] += value / float32(len(a))
		}
	}
	return sum, nil
}

func (a average) Close() error {
	for _, one := range a {
		if err := one.Close(); err != nil {
			return err
		}
	}
	return nil
}

// A type of your own with three methods is a runtime: it is evaluated, and compared with another
// one's answers. docs/add-a-runtime.md says more.
func ExampleRuntime() {
	ctx := context.Background()
	one, images := open(ctx, "../graphs/e1.onnx", infer.RuntimeOptions{Threads: 1})
	other, _ := open(ctx, "../graphs/e1.onnx", infer.RuntimeOptions{})
	own := average{one, other}
	defer own.Close()
	known, _ := open(ctx, "../graphs/e1.onnx", infer.RuntimeOptions{})
	defer known.Close()
	var answers []infer.Logits
	for _, runtime := range []infer.Runtime{known, own} {
		result, err := infer.Evaluate(ctx, runtime, images, infer.EvaluateOptions{KeepLogits: true})
		if err != nil {
			log.Fatal(err)
		}
		answers = append(answers, result.Logits)
	}
	comparison, err := infer.Compare(answers[0], answers[1], infer.DefaultTolerance)
	if err != nil {
		log.Fatal(err)
	}
	info := own.Info()
	fmt.Println(info.Runtime, info.Version, "differs in", comparison.LabelsDiffer,
		"labels; agrees:", comparison.Agree())
	// Output: average of 2 differs in 0 labels; agrees: true
}
