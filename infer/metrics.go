package infer

import (
	"context"

	"slipway/infer/port"
	"slipway/metrics"
)

// Metrics computes what the answers are worth; the result has its logits. names are what the
// classes are called.
func (r *Result) Metrics(ctx context.Context, names []string) (*metrics.Metrics, error) {
	options := r.metricOptions()
	options.ClassNames = names
	return metrics.New(ctx, r.Logits.Values, r.Labels, r.Classes, options)
}

// Answers has the answer to each image with its probability; the result has its logits.
func (r *Result) Answers() ([]metrics.Answer, error) {
	return metrics.Answers(r.Logits.Values, r.Labels, r.Classes, r.metricOptions())
}

func (r *Result) metricOptions() metrics.Options {
	if r.Scale.Independent() {
		return metrics.Options{Independent: true,
			Probabilities: r.Scale == port.OfIndependentProbabilities}
	}
	return metrics.Options{Probabilities: r.Scale == port.OfProbabilities ||
		areProbabilities(r.Logits)}
}
