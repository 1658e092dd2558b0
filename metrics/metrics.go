package metrics

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"slipway/internal/statistics"
)

// Bins is the number of bins, of equal width, that the calibration error sorts confidences into.
const Bins = 15

// DefaultTopK is the k of top-k accuracy where none is given.
const DefaultTopK = 5

// Options are the choices for New.
type Options struct {
	// TopK is the k of top-k accuracy, DefaultTopK if zero. It is left out where there are
	// not more classes than k: every answer would be right.
	TopK int
	// Probabilities says that the scores are probabilities already, as of a model that ends in
	// a Softmax. Otherwise they are logits, and a softmax makes probabilities of them.
	Probabilities bool
	// Independent says that each class's probability stands alone, as those of a network that was
	// trained with the binary loss: a sigmoid makes them of logits, and they need not sum to 1.
	Independent bool
	// ClassNames are what the classes are called; their numbers where it is empty.
	ClassNames []string
}

// Metrics are the figures of a classifier on a set. All but the counts and LogLoss are 0…1,
// the Brier score 0…2, or 0…K of K classes whose probabilities stand alone. What is not defined
// is nil.
type Metrics struct {
	// Data is the set's name and DataSHA256 its digest, Epoch the epoch after which the weights
	// were so: what is known of them.
	Data       string `json:"data,omitempty"`
	DataSHA256 string `json:"data_sha256,omitempty"`
	Epoch      int    `json:"epoch,omitempty"`
	// Images were asked about, Correct were answered right.
	Images  int `json:"images"`
	Correct int `json:"correct"`
	// Unanswered have a NaN among their scores. They count as wrong; scores of such a set are
	// neither ranked nor held against their confidence.
	Unanswered int `json:"unanswered,omitempty"`
	// Accuracy is the share of images answered right, Interval where the share may lie of all
	// images like these, at 95 % (Wilson's).
	Accuracy float64  `json:"accuracy"`
	Interval Interval `json:"accuracy_interval"`
	// TopK is the share of images whose label is among the TopKOf best classes; its name in JSON
	// says of how many, as in top_5_accuracy.
	TopK   *float64 `json:"-"`
	TopKOf int      `json:"-"`
	// BalancedAccuracy is the mean of the classes' recall, whatever their sizes.
	BalancedAccuracy *float64 `json:"balanced_accuracy,omitempty"`
	// MacroPrecision and MacroF1 are means over the classes.
	MacroPrecision *float64 `json:"macro_precision,omitempty"`
	MacroF1        *float64 `json:"macro_f1,omitempty"`
	// ROCAUC and AveragePrecision are means over the classes, each against the rest.
	ROCAUC           *float64 `json:"roc_auc,omitempty"`
	AveragePrecision *float64 `json:"average_precision,omitempty"`
	// LogLoss is the mean cross-entropy in nats; where probabilities stand alone it is the binary
	// one, the mean over images and classes. Brier is the mean of Σ(p − y)².
	LogLoss *float64 `json:"log_loss,omitempty"`
	Brier   *float64 `json:"brier_score,omitempty"`
	// ECE is the expected calibration error of Bins bins: Guo, Pleiss, Sun and Weinberger,
	// On calibration of modern neural networks, ICML 2017.
	ECE *float64 `json:"ece,omitempty"`
	// MultiLabel has the figures where images have any number of labels each, nil elsewhere. Correct
	// are those all of whose labels are right then, and nothing else above is defined.
	MultiLabel *MultiLabel `json:"multi_label,omitempty"`
	// PerClass has the figures of each class.
	PerClass []Class `json:"per_class,omitempty"`
}

// Interval is a range of values, both ends included.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Class are the figures of one class against the rest.
type Class struct {
	Name string `json:"name"`
	// Support is the number of images with this label.
	Support int `json:"support"`
	// Precision is the share of the answers "this class" that are right, Recall the share of the
	// class's images that are found, F1 their harmonic mean.
	Precision *float64 `json:"precision,omitempty"`
	Recall    *float64 `json:"recall,omitempty"`
	F1        *float64 `json:"f1,omitempty"`
	// ROCAUC and AveragePrecision are of the class's probability as a score for it.
	ROCAUC           *float64 `json:"roc_auc,omitempty"`
	AveragePrecision *float64 `json:"average_precision,omitempty"`
}

// New computes the figures of scores, N×classes, row after row, against N labels,
// 0…classes−1. An image's answer is the class with the highest score, the first of equal ones.
// 5,000 images of 1,000 classes take about a second; when ctx ends it stops with its error.
func New(ctx context.Context, scores []float32, labels []int, classes int,
	options Options) (*Metrics, error) {
	s, err := newScores(scores, labels, classes, options)
	if err != nil {
		return nil, err
	}
	k := options.TopK
	if k == 0 {
		k = DefaultTopK
	}
	if k < 1 {
		return nil, fmt.Errorf("%w: top-%d accuracy; k is at least 1", ErrArgument, k)
	}
	m := &Metrics{Images: len(labels)}
	top := 0
	for i, label := range labels {
		switch {
		case s.answers[i] < 0:
			m.Unanswered++
			continue
		case s.answers[i] == label:
			m.Correct++
		}
		if statistics.TopK(s.row(i), label, k) {
			top++
		}
	}
	m.Accuracy = float64(m.Correct) / float64(m.Images)
	interval, err := statistics.Wilson(m.Correct, m.Images, 0.95)
	if err != nil {
		return nil, err
	}
	m.Interval = Interval(interval)
	if classes > k {
		m.TopK, m.TopKOf = defined(float64(top)/float64(m.Images)), k
	}
	if err := m.classFigures(ctx, s, options.ClassNames); err != nil {
		return nil, err
	}
	if m.Unanswered > 0 {
		return m, nil
	}
	return m, m.calibration(s)
}

// classFigures fills in the classes' figures and the means over them.
func (m *Metrics) classFigures(ctx context.Context, s *scores, names []string) error {
	counts, err := statistics.CountClasses(s.labels, s.answers, s.classes)
	if err != nil {
		return err
	}
	rankings := make([]statistics.Ranking, s.classes)
	for class := range rankings {
		rankings[class] = statistics.Ranking{ROCAUC: math.NaN(), AveragePrecision: math.NaN()}
	}
	if m.Unanswered == 0 {
		if rankings, err = s.rank(ctx); err != nil {
			return err
		}
	}
	var recall, precision, f1, area, average []float64
	for class, c := range counts {
		figures := Class{Name: fmt.Sprint(class), Support: c.Support(),
			Precision: defined(c.Precision()), Recall: defined(c.Recall()), F1: defined(c.F1()),
			ROCAUC:           defined(rankings[class].ROCAUC),
			AveragePrecision: defined(rankings[class].AveragePrecision)}
		if class < len(names) {
			figures.Name = names[class]
		}
		m.PerClass = append(m.PerClass, figures)
		recall, precision = append(recall, c.Recall()), append(precision, c.Precision())
		f1, area = append(f1, c.F1()), append(area, rankings[class].ROCAUC)
		average = append(average, rankings[class].AveragePrecision)
	}
	m.BalancedAccuracy = defined(statistics.MeanDefined(recall))
	m.MacroPrecision = defined(statistics.MeanDefined(precision))
	m.MacroF1 = defined(statistics.MeanDefined(f1))
	m.ROCAUC = defined(statistics.MeanDefined(area))
	m.AveragePrecision = defined(statistics.MeanDefined(average))
	return nil
}

// calibration fills in what holds probabilities against what came true.
func (m *Metrics) calibration(s *scores) error {
	confidence, right := make([]float64, m.Images), make([]bool, m.Images)
	var loss, brier float64
	for i, label := range s.labels {
		answer := s.answers[i]
		confidence[i], right[i] = s.probability(i, answer), answer == label
		loss += s.loss(i, label)
		for class := range s.classes {
			p := s.probability(i, class)
			if class == label {
				p--
			}
			brier += p * p
		}
	}
	bins, err := statistics.Reliability(confidence, right, Bins)
	if err != nil {
		return err
	}
	m.ECE = defined(statistics.CalibrationError(bins))
	m.LogLoss = defined(loss / float64(m.Images))
	m.Brier = defined(brier / float64(m.Images))
	return nil
}

// rank ranks each class against the rest, on all cores: the figures of a class do not depend
// on who computes them.
func (s *scores) rank(ctx context.Context) ([]statistics.Ranking, error) {
	rankings, errs := make([]statistics.Ranking, s.classes), make([]error, s.classes)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), s.classes) {
		workers.Go(func() {
			column, positive := make([]float64, len(s.labels)), make([]bool, len(s.labels))
			for {
				class := int(next.Add(1)) - 1
				if class >= s.classes || ctx.Err() != nil {
					return
				}
				for i, label := range s.labels {
					column[i], positive[i] = s.probability(i, class), label == class
				}
				rankings[class], errs[class] = statistics.NewRanking(column, positive)
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return rankings, nil
}
