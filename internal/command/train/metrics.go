package train

import (
	"context"

	"slipway/dataset"
	"slipway/metrics"
	"slipway/train"
)

// writeMetrics writes what the trainer's answers on the test set are worth into the run's
// folder.
func (s *session) writeMetrics(ctx context.Context, evaluation *train.Evaluation, epoch int) error {
	set := s.test.Info()
	if set.MultiLabel {
		figures, err := train.LabelFigures(ctx, s.test, evaluation)
		if err != nil {
			return err
		}
		m, err := figures.Metrics()
		if err != nil {
			return err
		}
		return s.recordMetrics(m, set, epoch)
	}
	known, err := dataset.AllLabels(ctx, s.test)
	if err != nil {
		return err
	}
	labels := make([]int, len(known))
	for i, label := range known {
		labels[i] = int(label)
	}
	m, err := metrics.New(ctx, evaluation.Logits, labels, evaluation.Classes,
		metrics.Options{
			ClassNames:  set.ClassNames,
			Independent: s.trainer.Config().Loss.Name == train.LossBinary,
		})
	if err != nil {
		return err
	}
	return s.recordMetrics(m, set, epoch)
}

func (s *session) recordMetrics(m *metrics.Metrics, set dataset.Info, epoch int) error {
	m.Data, m.DataSHA256, m.Epoch = set.ShortName(), set.SHA256, epoch
	return s.dir.WriteMetrics(m)
}
