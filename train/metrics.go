package train

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"slipway/metrics"
)

// metricsFile has the figures of a run's final weights on its test set.
const metricsFile = "metrics.json"

// WriteMetrics records what the run's final weights are worth on its test set.
func (d RunDir) WriteMetrics(m *metrics.Metrics) error {
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("metrics of run %s: %w", d.path, err)
	}
	return d.write(metricsFile, append(raw, '\n'))
}

// ReadMetrics reads what WriteMetrics wrote; the error is fs.ErrNotExist where that is nothing.
// A run that went on has those of the epoch that they name until it ends again.
func (d RunDir) ReadMetrics() (*metrics.Metrics, error) {
	path := filepath.Join(d.path, metricsFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	m := new(metrics.Metrics)
	if err := json.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("%s: %w; `train -resume` writes it anew", path, err)
	}
	return m, nil
}
