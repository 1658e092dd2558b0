package train

import (
	"encoding/json"
	"fmt"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/safetensors"
)

// Checkpoint is the whole state of a run between two steps. Its file is a
// safetensors file: the weights under their PyTorch names ("conv1.weight"), the
// optimizer's state under "optimizer.<slot>.<name>", the averaged weights under
// "ema.<name>", the best weights of early stopping under "best.<name>", and everything
// else as JSON in the metadata.
// All tensors are in the public layout (O×I×KH×KW, Out×In).
type Checkpoint struct {
	Network *builder.Network
	Config  Config
	// Weights are those after the last step, from which the run goes on.
	Weights builder.Weights
	// OptimizerState holds the tensors of each of the optimizer's slots, in the
	// order of those of Network.Parameters that are not frozen in the epoch under way.
	OptimizerState map[string]builder.Weights
	// Average holds the averaged weights of Config.EMA, nil without it.
	Average builder.Weights
	// Best holds the weights of the epoch that was best by Config.Best, nil if there is
	// none.
	Best     builder.Weights
	Progress Progress
	// Data is the dataset.Set.Digest of the training set, validation included; empty
	// in a checkpoint of before it was kept.
	Data string
	// Sets is what is known of the run's data.
	Sets Sets
	// KernelSet is the Trainer.KernelSet of the last step, empty likewise.
	KernelSet string
	torn      error // why it is of no step, if not nil
}

// Ends reports whether a run that goes on from here with a configuration has nothing left to train.
func (c *Checkpoint) Ends(config Config) bool {
	progress := c.Progress
	if !c.knowsBest(config) {
		progress.BestEpoch = 0
	}
	return progress.stopRule(config) != ""
}

// knowsBest reports whether the best epoch was told by the measure of a configuration: where
// nothing was kept, or by another measure, that best epoch is not the best of all.
func (c *Checkpoint) knowsBest(config Config) bool {
	return c.Config.KeepsBest() && c.Config.best().name == config.best().name
}

// Result returns the weights that the run came to: the best ones where it has ended and
// kept them, the last ones elsewhere, averaged where Config.EMA says so.
func (c *Checkpoint) Result() builder.Weights {
	switch resultPrefix(c.Config, c.Progress) {
	case bestPrefix:
		if len(c.Best) > 0 {
			return c.Best
		}
	case averagePrefix:
		if len(c.Average) > 0 {
			return c.Average
		}
	}
	return c.Weights
}

// resultPrefix is that of the tensors, in a checkpoint's file, that the run came to.
func resultPrefix(config Config, progress Progress) string {
	switch {
	case resultIsBest(config, progress):
		return bestPrefix
	case !config.EMA.IsZero():
		return averagePrefix
	}
	return ""
}

func resultIsBest(config Config, progress Progress) bool {
	return progress.Finished != "" && config.KeepsBest() && progress.BestEpoch > 0
}

// Progress is where a run stands. With the seed it is also the whole random
// state: shuffles are a function of the seed and the epoch, dropout masks of
// the seed and the step.
type Progress struct {
	// Epochs is the number of finished epochs, EpochStep the steps done in the
	// epoch under way, and Step the steps done in all.
	Epochs    int `json:"epochs"`
	EpochStep int `json:"epoch_step"`
	Step      int `json:"step"`
	// The sums over the epoch under way: images, loss and cross-entropy by
	// image, images classified right, and seconds.
	Images       int     `json:"images"`
	LossSum      float64 `json:"loss_sum"`
	CrossEntropy float64 `json:"cross_entropy_sum"`
	Correct      int     `json:"correct"`
	LastLoss     float64 `json:"last_loss"`
	Seconds      float64 `json:"seconds"`
	// ThawStep is the number of steps that were done when FineTune.FreezeUntil's epoch began, 0
	// before.
	ThawStep int `json:"thaw_step,omitempty"`
	// GradientNorm is the largest norm of the gradients in it, 0 without Config.ClipNorm.
	GradientNorm float64 `json:"gradient_norm,omitempty"`
	// BestEpoch is the epoch that was best by Config.Best, and BestLoss its validation loss,
	// 0 where nothing is kept or held out.
	BestEpoch int     `json:"best_epoch,omitempty"`
	BestLoss  float64 `json:"best_loss,omitempty"`
	// Unreported says that the last epoch is trained, but Callbacks.Epoch has not come
	// to its end: what it measures is missing in the History.
	Unreported bool `json:"unreported,omitempty"`
	// Finished says why the run ended, empty while it has not.
	Finished string  `json:"finished,omitempty"`
	History  History `json:"history"`
}

// Reported returns the number of epochs that were reported to their end.
func (p Progress) Reported() int {
	if p.Unreported {
		return p.Epochs - 1
	}
	return p.Epochs
}

// Result returns the epoch of which a run that has ended has the weights: the best one where
// it was kept, the last one elsewhere. It is zero before the first epoch's end.
func (p Progress) Result(config Config) Epoch {
	if len(p.History) == 0 {
		return Epoch{}
	}
	if resultIsBest(config, p) {
		for _, epoch := range p.History {
			if epoch.Epoch == p.BestEpoch {
				return epoch
			}
		}
	}
	return p.History[len(p.History)-1]
}

// checkpointState is the JSON in the metadata.
type checkpointState struct {
	Version int `json:"version"`
	// Network is read apart: it may have layers of which only the caller knows.
	Network  json.RawMessage `json:"network"`
	Config   Config          `json:"config"`
	Progress Progress        `json:"progress"`
	Data     string          `json:"data_sha256,omitempty"`
	Sets     *Sets           `json:"sets,omitempty"`
	Kernels  string          `json:"kernel_set,omitempty"`
}

const (
	checkpointVersion = 1
	stateKey          = "slipway.state"
	// bestPrefix is that of the best weights' tensors.
	bestPrefix = "best."
	// averagePrefix is that of the averaged weights' tensors.
	averagePrefix = "ema."
)

// checkNames reports a tensor with the name that a checkpoint gives to the state of another one.
func (c Config) checkNames(network *builder.Network) error {
	names := make(map[string]bool)
	for _, tensor := range network.Tensors() {
		names[tensor.Name] = true
	}
	prefixes := []string{bestPrefix}
	for _, slot := range c.Optimizer.slots() {
		prefixes = append(prefixes, slotPrefix(slot))
	}
	if !c.EMA.IsZero() {
		prefixes = append(prefixes, averagePrefix)
	}
	for _, tensor := range network.Tensors() {
		for _, prefix := range prefixes {
			if names[prefix+tensor.Name] {
				return fmt.Errorf(
					"network %s has a tensor %s, and a checkpoint calls %s's state so; give its layer another name",
					network.Name(), prefix+tensor.Name, tensor.Name)
			}
		}
	}
	return nil
}

// slotPrefix is that of an optimizer's state in a slot.
func slotPrefix(slot string) string { return "optimizer." + slot + "." }

// WriteCheckpoint writes the checkpoint atomically: the file is the old one or
// the new one, whole, whatever happens.
//
// It refuses one that was taken after ranks had lost each other in the midst of a step.
func WriteCheckpoint(path string, c *Checkpoint) error {
	if c.torn != nil {
		return fmt.Errorf("write checkpoint %s: %w", path, c.torn)
	}
	network, err := json.Marshal(c.Network)
	if err != nil {
		return fmt.Errorf("checkpoint %s: %w", path, err)
	}
	state, err := json.Marshal(checkpointState{checkpointVersion, network, c.Config, c.Progress,
		c.Data, &c.Sets, c.KernelSet})
	if err != nil {
		return fmt.Errorf("checkpoint %s: %w", path, err)
	}
	file := &safetensors.File{Metadata: map[string]string{"format": "pt", stateKey: string(state)}}
	add := func(prefix string, weights builder.Weights) {
		for _, tensor := range weights {
			file.Tensors = append(file.Tensors, safetensors.NewFloat32(prefix+tensor.Name, tensor.Shape,
				tensor.Data))
		}
	}
	add("", c.Weights)
	for _, slot := range c.Config.Optimizer.slots() {
		add(slotPrefix(slot), c.OptimizerState[slot])
	}
	add(averagePrefix, c.Average)
	add(bestPrefix, c.Best)
	if err := safetensors.Write(path, file); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	return nil
}

// ReadCheckpoint reads and verifies a checkpoint. Extra are the kinds of layers that its network
// may have beside those of package builder, without settings.
func ReadCheckpoint(path string, extra ...builder.Layer) (*Checkpoint, error) {
	file, err := safetensors.Read(path)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	checkpoint, err := decodeCheckpoint(file, extra)
	if err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", path, err)
	}
	return checkpoint, nil
}

func decodeCheckpoint(file *safetensors.File, extra []builder.Layer) (*Checkpoint, error) {
	raw, ok := file.Metadata[stateKey]
	if !ok {
		return nil, fmt.Errorf(
			"has no %q in its metadata; it holds weights alone, or another program wrote it: start from its weights with -init",
			stateKey)
	}
	if _, sealed := file.Metadata[safetensors.DigestKey]; !sealed { // safetensors.Read compares it
		return nil, fmt.Errorf("is damaged: its metadata has no %s; use an older checkpoint",
			safetensors.DigestKey)
	}
	var state checkpointState
	if err := json.Unmarshal([]byte(raw), &state); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	if state.Version != checkpointVersion || len(state.Network) == 0 ||
		string(state.Network) == "null" {
		return nil, fmt.Errorf("is of version %d; this program reads version %d", state.Version,
			checkpointVersion)
	}
	network, err := builder.ParseNetwork(state.Network, extra...)
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	c := &Checkpoint{
		Network: network, Config: state.Config, Progress: state.Progress, Data: state.Data,
		KernelSet:      state.Kernels,
		OptimizerState: make(map[string]builder.Weights),
	}
	if state.Sets != nil {
		c.Sets = *state.Sets
	} else {
		c.Sets.Training = dataset.InfoOf(c.Config.Data, c.Data)
	}
	if c.Weights, err = takeWeights(file, "", c.Network); err != nil {
		return nil, err
	}
	if err := c.Config.checkTrained(c.Network); err != nil {
		return nil, err
	}
	trained := c.Config.inEpoch(c.Progress.Epochs).updated(c.Network)
	for _, slot := range c.Config.Optimizer.slots() {
		var kept []builder.TensorSpec
		for _, parameter := range trained {
			if c.Config.Optimizer.keeps(slot, parameter) {
				kept = append(kept, parameter.spec)
			}
		}
		if c.OptimizerState[slot], err = takeTensors(file, slotPrefix(slot), kept); err != nil {
			return nil, err
		}
	}
	if !c.Config.EMA.IsZero() {
		if c.Average, err = takeWeights(file, averagePrefix, c.Network); err != nil {
			return nil, err
		}
	}
	if c.Progress.BestEpoch > 0 {
		if c.Best, err = takeWeights(file, bestPrefix, c.Network); err != nil {
			return nil, err
		}
	}
	return c, nil
}
