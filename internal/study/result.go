package study

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"slipway/internal/atomicfile"
	"slipway/train"
)

// Files of a finished run, in its folder. result.json is written last: where it
// is, the others are.
const (
	ResultFile  = "result.json"
	WeightsFile = "weights.safetensors" // the final weights, a PyTorch state dict
	ModelFile   = "model.onnx"          // the same as an ONNX graph
	LogitsFile  = "test-logits.f32"     // of the test set in its order, N×classes, row-major, little-endian float32
	HistoryFile = "history.csv"         // one row an epoch
)

// Result is what one finished run of a study came to.
type Result struct {
	// ID is the run's content address: what its network, configuration, seed and
	// data sets hash to.
	ID string `json:"id"`
	// Study is the name of the study that it was read for, or made for.
	Study string `json:"study"`
	// Setting names the setting for people, such as "dropout=0.5". It is the same
	// for all seeds of a setting.
	Setting string `json:"setting"`
	// Values holds what varies, by key of the study file.
	Values map[string]any `json:"values"`
	Seed   uint64         `json:"seed"`
	// Network is the network's name, Parameters the number of values it learns.
	Network    string `json:"network"`
	Parameters int    `json:"parameters"`
	// Classes is the number of logits, 0 in results of before it was kept.
	Classes int          `json:"classes,omitempty"`
	Config  train.Config `json:"config"`
	// Sets is what the run was trained and tested on, zero in such results.
	Sets train.Sets `json:"sets,omitzero"`
	// From is the model that the run began with, by the name that the study's file has for it, and
	// FromSHA256 the digest of its weights; empty where they were drawn.
	From       string `json:"from,omitempty"`
	FromSHA256 string `json:"from_sha256,omitempty"`
	// Threads is the number of threads that the run computed on. It changes no
	// figure but the seconds.
	Threads int `json:"threads"`
	// Stopped says why the run ended: "epochs", "loss below 0.38", "pruned",
	// "diverged: …".
	Stopped string        `json:"stopped"`
	History train.History `json:"history"`
	// TrainSeconds is the time of all training steps, without evaluation.
	TrainSeconds float64 `json:"train_seconds"`
	// TrainAccuracy and TestAccuracy (0…1), TrainLoss and TestLoss (the mean
	// cross-entropy, without penalties) are those of the final weights, with
	// dropout off, over the images trained on and over the test set. A loss that is
	// no number, as of a run that diverged, is NaN, and null in JSON.
	TrainAccuracy float64 `json:"train_accuracy"`
	TrainLoss     float64 `json:"train_loss"`
	TestAccuracy  float64 `json:"test_accuracy"`
	TestLoss      float64 `json:"test_loss"`
	// Robustness holds the accuracy on the corrupted test set, by the name of the
	// corruption, at strengths 1…5 (index 0 is strength 1); nil if the study does
	// not ask.
	Robustness map[string][]float64 `json:"robustness,omitempty"`
	// Files has the sha256 of each file beside the result, by its name; nil in results of before
	// it was kept.
	Files map[string]string `json:"files,omitempty"`
	// CPU and Go say what the run was computed on and with.
	CPU string `json:"cpu"`
	Go  string `json:"go"`
	// Dir is the folder of the run's files.
	Dir string `json:"-"`
}

// resultJSON is a Result whose losses may be null.
type resultJSON struct {
	*plainResult
	TrainLoss *float64 `json:"train_loss"`
	TestLoss  *float64 `json:"test_loss"`
}

// plainResult is Result without its methods.
type plainResult Result

// MarshalJSON writes a loss that is no number as null.
func (r Result) MarshalJSON() ([]byte, error) {
	plain := plainResult(r)
	return json.Marshal(resultJSON{&plain, finite(r.TrainLoss), finite(r.TestLoss)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (r *Result) UnmarshalJSON(raw []byte) error {
	read := resultJSON{plainResult: (*plainResult)(r)}
	if err := json.Unmarshal(raw, &read); err != nil {
		return err
	}
	r.TrainLoss, r.TestLoss = orNaN(read.TrainLoss), orNaN(read.TestLoss)
	return nil
}

func finite(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

func orNaN(x *float64) float64 {
	if x == nil {
		return math.NaN()
	}
	return *x
}

// ReadFile reads a file beside the result, and compares it with its sha256. A result of before sums
// were kept has none to compare with.
func (r Result) ReadFile(name string) ([]byte, error) {
	path := filepath.Join(r.Dir, name)
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w; remove the run's folder, and run the study again", err)
	}
	if want, ok := r.Files[name]; ok {
		if got := sum(raw); got != want {
			return nil, fmt.Errorf(
				"%s is damaged: its sha256 is %s, %s says %s; remove the run's folder, and run the study again",
				path, got, ResultFile, want)
		}
	}
	return raw, nil
}

func sum(content []byte) string {
	digest := sha256.Sum256(content)
	return hex.EncodeToString(digest[:])
}

// Write writes result.json into the run's folder, which marks it as finished.
func (r Result) Write(dir string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("result of run %s: %w", dir, err)
	}
	if err := atomicfile.WriteBytes(filepath.Join(dir, ResultFile), append(raw, '\n')); err != nil {
		return fmt.Errorf("result of run %s: %w", dir, err)
	}
	return nil
}

// ReadResult reads the result of the run in the folder. The error is
// fs.ErrNotExist if the run is not finished.
func ReadResult(dir string) (Result, error) {
	path := filepath.Join(dir, ResultFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		return Result{}, fmt.Errorf("read result: %w", err)
	}
	result := Result{Dir: dir}
	if err := json.Unmarshal(raw, &result); err != nil {
		return Result{}, fmt.Errorf("%s: %w; remove the folder, and run the study again", path, err)
	}
	return result, nil
}

// Read returns the finished runs of the study in the folder, in the order of the
// settings and seeds in the study file. Those that are not finished are passed
// over. A run that other studies share bears this study's names.
func Read(dir string) ([]Result, error) {
	plan, err := ReadPlan(dir)
	if err != nil {
		return nil, err
	}
	return plan.results(dir)
}

// results reads those of the plan's runs that are finished.
func (p Plan) results(dir string) ([]Result, error) {
	var results []Result
	for _, run := range p.Runs {
		result, err := ReadResult(filepath.Join(dir, p.Pool, run.ID))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		result.Study, result.Setting, result.Values = p.Study, run.Setting, run.Values
		results = append(results, result)
	}
	return results, nil
}
