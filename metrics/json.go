package metrics

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// plainMetrics is Metrics without its methods.
type plainMetrics Metrics

// MarshalJSON writes one object, with the classes at its end and top-k accuracy under its own
// name: top_5_accuracy.
func (m Metrics) MarshalJSON() ([]byte, error) {
	plain := plainMetrics(m)
	plain.PerClass = nil
	parts := []any{plain}
	if m.TopK != nil {
		parts = append(parts, map[string]float64{topKName(m.TopKOf): *m.TopK})
	}
	if len(m.PerClass) > 0 {
		parts = append(parts, map[string][]Class{"per_class": m.PerClass})
	}
	// The objects' members, one after another, are those of one object.
	var members [][]byte
	for _, part := range parts {
		raw, err := json.Marshal(part)
		if err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
		members = append(members, raw[1:len(raw)-1])
	}
	return fmt.Appendf(nil, "{%s}", bytes.Join(members, []byte(","))), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (m *Metrics) UnmarshalJSON(raw []byte) error {
	if err := json.Unmarshal(raw, (*plainMetrics)(m)); err != nil {
		return err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return err
	}
	for name, value := range members {
		k, ok := topKOf(name)
		if !ok {
			continue
		}
		m.TopKOf = k
		if err := json.Unmarshal(value, &m.TopK); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func topKName(k int) string { return fmt.Sprintf("top_%d_accuracy", k) }

// topKOf reads k out of a name.
func topKOf(name string) (k int, ok bool) {
	digits, found := strings.CutPrefix(name, "top_")
	digits, ends := strings.CutSuffix(digits, "_accuracy")
	k, err := strconv.Atoi(digits)
	return k, found && ends && err == nil && k > 0
}

// Figure is one figure of Metrics under its name in JSON.
type Figure struct {
	Name  string
	Value float64
}

// namedFigure is one that may not be defined.
type namedFigure struct {
	name  string
	value *float64
}

// Figures lists the figures of the whole set that are defined, accuracy first.
func (m *Metrics) Figures() []Figure {
	if m.MultiLabel != nil {
		return m.MultiLabel.Figures()
	}
	return definedFigures([]Figure{{"accuracy", m.Accuracy}}, []namedFigure{
		{topKName(m.TopKOf), m.TopK}, {"balanced_accuracy", m.BalancedAccuracy},
		{"macro_precision", m.MacroPrecision}, {"macro_f1", m.MacroF1}, {"roc_auc", m.ROCAUC},
		{"average_precision", m.AveragePrecision}, {"log_loss", m.LogLoss},
		{"brier_score", m.Brier}, {"ece", m.ECE},
	})
}

// Figures lists the figures of the whole set that are defined, the subset accuracy first.
func (m *MultiLabel) Figures() []Figure {
	return definedFigures(
		[]Figure{{"subset_accuracy", m.SubsetAccuracy}, {"hamming_loss", m.HammingLoss}},
		[]namedFigure{
			{"mean_average_precision", m.MeanAveragePrecision}, {"roc_auc", m.ROCAUC},
			{"macro_f1", m.MacroF1}, {"micro_f1", m.MicroF1},
		})
}

func definedFigures(figures []Figure, more []namedFigure) []Figure {
	for _, f := range more {
		if f.value != nil {
			figures = append(figures, Figure{f.name, *f.value})
		}
	}
	return figures
}
