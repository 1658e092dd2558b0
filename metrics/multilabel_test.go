package metrics

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// The figures of several labels as those of a set: the accuracy is of all labels, and they read
// back.
func TestMetricsOfSeveralLabels(t *testing.T) {
	scores := []float32{1, -1, -1, -1, 2, 2, -1, 3}
	targets := []bool{true, false, false, false, true, false, false, true}
	labels, err := NewMultiLabel(scores, targets, 2, 0, []string{"a", "b"})
	if err != nil || labels.Correct != 3 || labels.SubsetAccuracy != 0.75 {
		t.Fatalf("%+v, %v", labels, err)
	}
	m, err := labels.Metrics()
	if err != nil || m.Accuracy != 0.75 || m.Correct != 3 || m.Images != 4 ||
		!(m.Interval.Low < 0.75 && m.Interval.High > 0.75) {
		t.Fatalf("%+v, %v", m, err)
	}
	var names []string
	for _, figure := range m.Figures() {
		names = append(names, figure.Name)
	}
	if got := strings.Join(names,
		" "); got != "subset_accuracy hamming_loss mean_average_precision roc_auc macro_f1 micro_f1" {
		t.Error(got)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var back Metrics
	if err := json.Unmarshal(raw, &back); err != nil || !reflect.DeepEqual(&back, m) {
		t.Errorf("%v: %s", err, raw)
	}
}
