package metrics_test

import (
	"context"
	"fmt"
	"log"

	"slipway/metrics"
)

func ExampleNew() {
	// Four images, three classes; the last image is a bee that is taken for an ant.
	logits := []float32{
		4, 1, 0,
		0, 3, 1,
		1, 0, 5,
		2, 1, 0,
	}
	m, err := metrics.New(context.Background(), logits, []int{0, 1, 2, 1}, 3,
		metrics.Options{TopK: 2, ClassNames: []string{"ant", "bee", "wasp"}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("accuracy %.2f, top-2 accuracy %.2f\n", m.Accuracy, *m.TopK)
	for _, class := range m.PerClass {
		fmt.Printf("%s: precision %.2f, recall %.2f\n", class.Name, *class.Precision, *class.Recall)
	}
	// Output:
	// accuracy 0.75, top-2 accuracy 1.00
	// ant: precision 0.50, recall 1.00
	// bee: precision 1.00, recall 0.50
	// wasp: precision 1.00, recall 1.00
}

func ExampleNewMultiLabel() {
	// Two images and two labels, "indoors" and "people", as logits.
	scores := []float32{2, -1, 1, 3}
	targets := []bool{true, false, false, true}
	m, err := metrics.NewMultiLabel(scores, targets, 2, 0, []string{"indoors", "people"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("subset accuracy %.2f, mean average precision %.2f\n",
		m.SubsetAccuracy, *m.MeanAveragePrecision)
	// Output:
	// subset accuracy 0.50, mean average precision 1.00
}
