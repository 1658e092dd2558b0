package metrics

import (
	"fmt"

	"slipway/internal/statistics"
)

// MultiLabel are the figures of a classifier that gives an image any number of labels. All are
// 0…1; what is not defined is nil.
type MultiLabel struct {
	Images int `json:"images"`
	// Correct is how many of them have all labels told right.
	Correct int `json:"correct"`
	// ScoreThreshold is the score above which a label is told: 0 of logits is a probability of 0.5.
	ScoreThreshold float32 `json:"score_threshold"`
	// SubsetAccuracy is the share of images all of whose labels are told right: accuracy_score
	// of scikit-learn. HammingLoss is the share of single labels that are told wrong.
	SubsetAccuracy float64 `json:"subset_accuracy"`
	HammingLoss    float64 `json:"hamming_loss"`
	// MeanAveragePrecision and ROCAUC are means over the labels and depend on no threshold.
	MeanAveragePrecision *float64 `json:"mean_average_precision,omitempty"`
	ROCAUC               *float64 `json:"roc_auc,omitempty"`
	// MacroF1 is the mean over the labels, MicroF1 that of all labels' answers together.
	MacroF1 *float64 `json:"macro_f1,omitempty"`
	MicroF1 *float64 `json:"micro_f1,omitempty"`
	// PerLabel has the figures of each label; Support is the number of images that have it.
	PerLabel []Class `json:"per_label"`
}

// NewMultiLabel computes the figures of scores, N×labels, row after row, against targets of the
// same shape. A label is told of an image whose score is above the threshold: 0 for logits
// before a sigmoid, 0.5 for probabilities. names may be empty.
func NewMultiLabel(scores []float32, targets []bool, labels int, threshold float32,
	names []string) (*MultiLabel, error) {
	if labels < 1 || len(targets) == 0 || len(targets)%labels != 0 || len(scores) != len(targets) {
		return nil, fmt.Errorf("%w: %d scores and %d targets of %d labels", ErrArgument,
			len(scores), len(targets), labels)
	}
	for i, score := range scores {
		if score != score {
			return nil, fmt.Errorf("%w: the score of label %d of image %d is NaN", ErrArgument,
				i%labels, i/labels)
		}
	}
	images := len(targets) / labels
	m := &MultiLabel{Images: images, ScoreThreshold: threshold}
	counts, missed := make([]statistics.Counts, labels), make([]bool, images)
	for i, target := range targets {
		c := &counts[i%labels]
		switch told := scores[i] > threshold; {
		case told && target:
			c.TruePositive++
			continue
		case told:
			c.FalsePositive++
		case target:
			c.FalseNegative++
		default:
			continue
		}
		missed[i/labels] = true
	}
	for _, wrong := range missed {
		if !wrong {
			m.Correct++
		}
	}
	m.SubsetAccuracy = float64(m.Correct) / float64(images)
	return m, m.labelFigures(scores, targets, counts, names)
}

// Metrics returns the figures as those of a set: the accuracy is SubsetAccuracy, and what is of one
// class an image is not defined.
func (m *MultiLabel) Metrics() (*Metrics, error) {
	interval, err := statistics.Wilson(m.Correct, m.Images, 0.95)
	if err != nil {
		return nil, err
	}
	return &Metrics{Images: m.Images, Correct: m.Correct, Accuracy: m.SubsetAccuracy,
		Interval: Interval(interval), MultiLabel: m}, nil
}

func (m *MultiLabel) labelFigures(scores []float32, targets []bool, counts []statistics.Counts,
	names []string) error {
	column, positive := make([]float64, m.Images), make([]bool, m.Images)
	var all statistics.Counts
	var average, area, f1 []float64
	for label, c := range counts {
		for i := range m.Images {
			column[i] = float64(scores[i*len(counts)+label])
			positive[i] = targets[i*len(counts)+label]
		}
		ranking, err := statistics.NewRanking(column, positive)
		if err != nil {
			return err
		}
		figures := Class{Name: fmt.Sprint(label), Support: c.Support(),
			Precision: defined(c.Precision()), Recall: defined(c.Recall()), F1: defined(c.F1()),
			ROCAUC: defined(ranking.ROCAUC), AveragePrecision: defined(ranking.AveragePrecision)}
		if label < len(names) {
			figures.Name = names[label]
		}
		m.PerLabel = append(m.PerLabel, figures)
		average, area = append(average, ranking.AveragePrecision), append(area, ranking.ROCAUC)
		f1 = append(f1, c.F1())
		all.TruePositive += c.TruePositive
		all.FalsePositive += c.FalsePositive
		all.FalseNegative += c.FalseNegative
	}
	m.HammingLoss = float64(all.FalsePositive+all.FalseNegative) / float64(len(targets))
	m.MeanAveragePrecision = defined(statistics.MeanDefined(average))
	m.ROCAUC = defined(statistics.MeanDefined(area))
	m.MacroF1 = defined(statistics.MeanDefined(f1))
	m.MicroF1 = defined(all.F1())
	return nil
}
