package export

import (
	"bytes"
	"encoding/json"

	"slipway/builder"
	"slipway/train"
)

// runRecord is run.json beside a graph: what the card tells of the run that the
// file itself does not say.
type runRecord struct {
	Network *builder.Network `json:"network"` // with the dropout that the file leaves out
	Config  train.Config     `json:"config"`
	Sets    train.Sets       `json:"sets,omitzero"` // without places of the machine
	Steps   int              `json:"steps"`
	// KeptEpoch is the epoch whose weights these are, 0 where the last ones are kept whatever
	// they are worth.
	KeptEpoch int `json:"kept_epoch,omitempty"`
	// FirstMeanLoss is the mean loss of the first epoch, nil where none is finished.
	FirstMeanLoss *float64 `json:"first_mean_loss"`
	// Finished says why the run ended, empty if it had not.
	Finished string         `json:"finished"`
	Answers  []answerRecord `json:"answers"`
	// NotAsked are the runtimes that were to be asked and do not run the graph.
	NotAsked []notAsked `json:"not_asked,omitempty"`
}

// answerRecord is how a runtime agreed with the trainer on the test images, when the
// graph was exported.
type answerRecord struct {
	Runtime      string  `json:"runtime"`
	Version      string  `json:"version"`
	Provider     string  `json:"provider"`
	Correct      int     `json:"correct"`
	LabelsDiffer int     `json:"labels_differ"`
	MaxAbsDiff   float64 `json:"max_abs_diff"`
	MaxRelDiff   float64 `json:"max_rel_diff"`
}

func (g *graph) record() *runRecord {
	c := g.checkpoint
	config := c.Config
	config.Data = g.sets.Training.ShortName()
	r := &runRecord{Network: c.Network, Config: config, Sets: g.sets.WithoutPlaces(),
		Steps: c.Progress.Step, Finished: c.Progress.Finished, Answers: []answerRecord{},
		NotAsked: g.passed}
	if c.Config.KeepsBest() {
		r.KeptEpoch = c.Progress.Result(c.Config).Epoch
	}
	if history := c.Progress.History; len(history) > 0 {
		r.FirstMeanLoss = &history[0].MeanLoss
	}
	for _, a := range g.answers {
		r.Answers = append(r.Answers, answerRecord{a.info.Runtime, a.info.Version, a.info.Provider,
			a.correct, a.comparison.LabelsDiffer, a.comparison.MaxAbsDiff, a.comparison.MaxRelDiff})
	}
	return r
}

func (r *runRecord) encode() ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(r)
	return b.Bytes(), err
}
