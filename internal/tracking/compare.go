package tracking

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"slipway/dataset"
	"slipway/internal/safetensors"
	"slipway/internal/statistics"
	"slipway/internal/study"
	"slipway/metrics"
	"slipway/train"
)

// Level is the confidence level of the comparison's interval.
const Level = 0.95

// Comparison is what two runs answered on the same test set.
type Comparison struct {
	First, Second *Record       `json:"-"`
	Test          dataset.Info  `json:"-"`
	Runs          [2]string     `json:"runs"`
	Data          string        `json:"data"`
	DataSHA256    string        `json:"data_sha256"`
	Images        int           `json:"images"`
	Accuracy      [2]float64    `json:"accuracy"`
	Difference    float64       `json:"difference"` // the second's accuracy less the first's
	Interval      *Range        `json:"interval,omitempty"`
	BothRight     int           `json:"both_right"`
	OnlyFirst     int           `json:"only_first_right"`
	OnlySecond    int           `json:"only_second_right"`
	BothWrong     int           `json:"both_wrong"`
	P             float64       `json:"mcnemar_p"` // of McNemar's exact test
	Settings      []SettingPair `json:"settings"`
	Changed       []Change      `json:"changed_images"`
}

// Range is where the difference may lie, by the t-interval of the images' differences, which
// are −1, 0 or 1; nil where every image is answered alike.
type Range struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Change is an image that one of the runs answers right and the other does not.
type Change struct {
	Image int    `json:"image"`
	File  string `json:"file,omitempty"`
	// Label, First and Second are classes; −1 is no answer.
	Label  int `json:"label"`
	First  int `json:"first"`
	Second int `json:"second"`
}

// Compare sets the answers of two runs on the images that both were tested on beside each other.
// set is the test set; SameTest says which it is.
func Compare(ctx context.Context, first, second *Record, set dataset.Source) (*Comparison, error) {
	if _, err := SameTest(first, second); err != nil {
		return nil, err
	}
	known, err := dataset.AllLabels(ctx, set)
	if err != nil {
		return nil, err
	}
	labels := make([]int, len(known))
	for i, label := range known {
		labels[i] = int(label)
	}
	c := &Comparison{First: first, Second: second, Runs: [2]string{first.Name, second.Name},
		Images: len(labels)}
	var answers [2][]metrics.Answer
	for i, run := range []*Record{first, second} {
		own, err := dataset.First(set, run.Sets.Test.Images)
		if err != nil {
			return nil, err
		}
		if info := own.Info(); info.SHA256 != run.Sets.Test.SHA256 {
			return nil, fmt.Errorf(
				"run %s was tested on %s (sha256 %.12s…), and these are other images (%.12s…)", run.Name,
				run.Sets.Test.Name, run.Sets.Test.SHA256, info.SHA256)
		}
		if answers[i], err = run.answers(*run.Sets.Test, labels[:own.Len()]); err != nil {
			return nil, err
		}
		if c.Images = min(c.Images, own.Len()); c.Images == own.Len() {
			c.Test = *run.Sets.Test
		}
	}
	c.Data, c.DataSHA256 = c.Test.ShortName(), c.Test.SHA256
	for i := range answers {
		answers[i] = answers[i][:c.Images]
		c.Accuracy[i] = accuracyOf(answers[i])
	}
	c.count(answers, dataset.FileNames(set))
	if err := c.test(answers); err != nil {
		return nil, err
	}
	c.Settings, err = settingsThatDiffer(first, second)
	return c, err
}

// SameTest returns the set that both runs were tested on, or of which both were tested on the first
// images, as runs of studies with test_images are.
func SameTest(first, second *Record) (dataset.Info, error) {
	for _, run := range []*Record{first, second} {
		if run.Sets.Test == nil || run.Sets.Test.SHA256 == "" {
			return dataset.Info{}, fmt.Errorf("run %s does not say which set it was tested on: "+
				"there are no answers to compare", run.Name)
		}
		if err := run.Sets.Test.OneLabel("a comparison of two runs"); err != nil {
			return dataset.Info{}, err
		}
	}
	a, b := first.wholeTest(), second.wholeTest()
	if a.SHA256 != b.SHA256 {
		a, b = *first.Sets.Test, *second.Sets.Test
	}
	if a.SHA256 != b.SHA256 {
		return dataset.Info{}, fmt.Errorf(
			"run %s was tested on %s (sha256 %.12s…), run %s on %s (%.12s…): "+
				"answers on other images cannot be compared", first.Name, a.Name, a.SHA256, second.Name, b.Name,
			b.SHA256)
	}
	if a.Place == "" {
		return b, nil
	}
	return a, nil
}

// wholeTest is the test set of which the run was tested on the first images.
func (r *Record) wholeTest() dataset.Info {
	if r.test.SHA256 != "" {
		return r.test
	}
	return *r.Sets.Test
}

func accuracyOf(answers []metrics.Answer) float64 {
	right := 0
	for _, a := range answers {
		if a.Right() {
			right++
		}
	}
	return float64(right) / float64(len(answers))
}

// count counts who is right, and lists the images on which the runs part.
func (c *Comparison) count(answers [2][]metrics.Answer, files []string) {
	for i, a := range answers[0] {
		b := answers[1][i]
		switch {
		case a.Right() && b.Right():
			c.BothRight++
			continue
		case a.Right():
			c.OnlyFirst++
		case b.Right():
			c.OnlySecond++
		default:
			c.BothWrong++
			continue
		}
		change := Change{Image: i, Label: a.Label, First: a.Class, Second: b.Class}
		if i < len(files) {
			change.File = files[i]
		}
		c.Changed = append(c.Changed, change)
	}
}

// test holds the difference against chance.
func (c *Comparison) test(answers [2][]metrics.Answer) (err error) {
	c.Difference = c.Accuracy[1] - c.Accuracy[0]
	if c.P, err = statistics.McNemar(c.OnlyFirst, c.OnlySecond); err != nil {
		return err
	}
	if len(c.Changed) == 0 || c.Images < 2 {
		return nil
	}
	var right [2][]float64
	for i := range right {
		right[i] = make([]float64, c.Images)
		for j, a := range answers[i] {
			if a.Right() {
				right[i][j] = 1
			}
		}
	}
	test, err := statistics.PairedT(right[1], right[0], Level)
	c.Interval = (*Range)(&test.Interval)
	return err
}

// answers reads a run's own answers on its test set, and holds them against the accuracy that
// the run records.
func (r *Record) answers(test dataset.Info, labels []int) ([]metrics.Answer, error) {
	path, values, err := r.logits()
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf(
			"run %s has no answers on its test set yet; `train -resume` takes it to its end", r.Name)
	}
	if err != nil {
		return nil, err
	}
	classes := len(values) / len(labels)
	answers, err := metrics.Answers(values, labels, classes,
		metrics.Options{Independent: r.Config.Loss.Name == train.LossBinary})
	if err != nil {
		return nil, fmt.Errorf("%s is not of the %d images of %s: %w", path, len(labels), test.Name, err)
	}
	accuracy := accuracyOf(answers)
	if !r.records(accuracy) {
		return nil, fmt.Errorf(
			"%s says %.4f of %s are right, which is the accuracy of no epoch that the run "+
				"came to last: `train -resume` takes it to its end", path, accuracy, test.Name)
	}
	return answers, nil
}

// records reports whether the run as it stands has that accuracy.
func (r *Record) records(accuracy float64) bool {
	same := func(recorded *float64) bool {
		return recorded != nil && math.Abs(*recorded-accuracy) < 1e-9
	}
	if same(r.TestAccuracy) {
		return true
	}
	if !r.Config.KeepsBest() || r.Metrics != nil {
		return false
	}
	// A run of before metrics were written may have gone back to any epoch.
	for _, epoch := range r.History {
		if same(epoch.TestAccuracy) {
			return true
		}
	}
	return false
}

// logits reads the trainer's answer on the test set, N×classes.
func (r *Record) logits() (path string, values []float32, err error) {
	if r.ofStudy != nil {
		path = filepath.Join(r.Dir, study.LogitsFile)
		raw, err := r.ofStudy.ReadFile(study.LogitsFile)
		if err != nil {
			return path, nil, fmt.Errorf("read answers: %w", err)
		}
		if len(raw)%4 != 0 {
			return path, nil, fmt.Errorf("%s: %d bytes are no whole number of float32", path, len(raw))
		}
		values = make([]float32, len(raw)/4)
		for i := range values {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		return path, values, nil
	}
	run, err := train.OpenRun(r.Dir)
	if err != nil {
		return "", nil, err
	}
	path = run.LogitsPath(r.Sets.Test.Name)
	file, err := safetensors.Read(path)
	if err != nil {
		return path, nil, err
	}
	tensor, ok := file.Tensor("logits")
	if !ok {
		return path, nil, fmt.Errorf(`%s: there is no tensor "logits" in it`, path)
	}
	values, err = tensor.Float32s()
	if err != nil {
		return path, nil, fmt.Errorf("%s: %w", path, err)
	}
	return path, values, nil
}
