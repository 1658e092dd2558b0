//go:build gpu && linux && amd64

package cuda

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// AlgorithmsVariable is the environment variable that names the file of measured algorithms. With
// it, convolutions are computed by the algorithms that are in the file, and what is not there is
// measured once and written there. Without it they are computed by fixed ones.
const AlgorithmsVariable = "SLIPWAY_CUDNN_ALGORITHMS"

// measuredAlgorithms are those of a file: which algorithm is the fastest differs from one
// measurement to the next, and with it the bits of a run, so that what was chosen is kept.
type measuredAlgorithms struct {
	path string
	record
}

// record is what the file holds.
type record struct {
	Device string `json:"device"`
	CUDNN  string `json:"cudnn"`
	// Convolutions are by their pass, shapes and arithmetic.
	Convolutions map[string]recordedAlgorithm `json:"convolutions"`
}

type recordedAlgorithm struct {
	Algorithm    string  `json:"algorithm"`
	Math         string  `json:"math"`
	Microseconds float64 `json:"microseconds"`
}

// openAlgorithms reads the file, which need not be there yet; nil if it has no name.
func openAlgorithms(path string, of DeviceInfo, cudnn string) (*measuredAlgorithms, error) {
	if path == "" {
		return nil, nil
	}
	a := &measuredAlgorithms{path: path, record: record{
		Device: fmt.Sprintf("%s, compute capability %s", of.Name, of.Capability), CUDNN: cudnn,
		Convolutions: make(map[string]recordedAlgorithm),
	}}
	return a, a.read()
}

// String says where algorithms come from, for the device's name.
func (a *measuredAlgorithms) String() string {
	if a == nil {
		return ""
	}
	return ", convolutions as measured in " + a.path
}

// read takes up what the file has, and refuses one of another device.
func (a *measuredAlgorithms) read() error {
	text, err := os.ReadFile(a.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", AlgorithmsVariable, err)
	}
	var kept record
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&kept); err != nil {
		return fmt.Errorf("%s: %s is no file of measured algorithms: %w; name another, or one that is "+
			"not there yet", AlgorithmsVariable, a.path, err)
	}
	if kept.Device != a.Device || kept.CUDNN != a.CUDNN {
		return fmt.Errorf("%s: %s was measured on %s with cuDNN %s, and this is %s with cuDNN %s; name "+
			"another file, or one that is not there yet", AlgorithmsVariable, a.path, kept.Device,
			kept.CUDNN, a.Device, a.CUDNN)
	}
	for convolution, algorithm := range kept.Convolutions {
		a.Convolutions[convolution] = algorithm
	}
	return nil
}

// write replaces the file.
func (a *measuredAlgorithms) write() error {
	text, err := json.MarshalIndent(a.record, "", "\t")
	if err != nil {
		return err
	}
	part, err := os.CreateTemp(filepath.Dir(a.path), filepath.Base(a.path)+".part-*")
	if err != nil {
		return fmt.Errorf("%s: %w", AlgorithmsVariable, err)
	}
	_, err = part.Write(append(text, '\n'))
	err = errors.Join(err, part.Chmod(0o644), part.Sync(), part.Close())
	if err == nil {
		err = os.Rename(part.Name(), a.path)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", AlgorithmsVariable, errors.Join(err, os.Remove(part.Name())))
	}
	return nil
}

// chosenAlgorithm is what a convolution is computed by.
type chosenAlgorithm struct {
	algorithm
	bytes int64 // of its workspace
}

// chooseAlgorithm chooses what computes a pass: by the file of measured algorithms if there is one,
// or by a rule that is the same each time.
func (m *Machine) chooseAlgorithm(c *legacyConvolution) (chosenAlgorithm, error) {
	m.convolutions = append(m.convolutions, c)
	if m.gpu.algorithms == nil {
		return c.byRule(m.options.Products)
	}
	return m.gpu.algorithms.choose(c, m.options.Products, pool{gpu: m.gpu})
}

// byRule is the algorithm that is preferred or, where cuDNN does not support that, the first that
// its heuristics name, does and that serves.
func (c *legacyConvolution) byRule(products arithmetic) (chosenAlgorithm, error) {
	chosen := chosenAlgorithm{algorithm: algorithm{preferred[c.of.pass], mathOf(products)}}
	var err error
	if chosen.bytes, err = c.workspace(chosen.algorithm); err == nil || !notSupported(err) {
		return chosen, err
	}
	suggested, suggestErr := c.suggested()
	if suggestErr != nil {
		return chosen, errors.Join(err, suggestErr)
	}
	for _, other := range suggested {
		if !other.serves(products) {
			continue
		}
		bytes, failed := c.workspace(other.algorithm)
		if failed == nil {
			return chosenAlgorithm{other.algorithm, bytes}, c.setMath(other.math)
		}
		err = failed
	}
	return chosen, fmt.Errorf("%s: none of the %d algorithms that cuDNN names is deterministic in %v "+
		"and supported: %w; train with -device cpu", c.label, len(suggested), products, err)
}

// notSupported reports whether cuDNN does not have what was asked for.
func notSupported(err error) bool {
	const first, behind = 3000, 4000 // CUDNN_STATUS_NOT_SUPPORTED, and its more special ones
	var call *callError
	return errors.As(err, &call) && call.code >= first && call.code < behind
}

// choose returns the algorithm that is recorded for a pass, and measures it first where none is.
func (a *measuredAlgorithms) choose(c *legacyConvolution, products arithmetic, memory pool) (
	chosen chosenAlgorithm, err error) {
	key := fmt.Sprintf("%s in %v", c.label, products)
	kept, known := a.Convolutions[key]
	if !known {
		// Another process may have measured it meanwhile.
		if err := a.read(); err != nil {
			return chosen, err
		}
		kept, known = a.Convolutions[key]
	}
	if !known {
		if kept, err = c.fastest(products, memory); err != nil {
			return chosen, fmt.Errorf("measure the algorithms of %s: %w", key, err)
		}
		a.Convolutions[key] = kept
		if err := a.write(); err != nil {
			return chosen, err
		}
	}
	found, ok := c.named(kept.Algorithm, kept.Math)
	check := foundAlgorithm{algorithm: found, deterministic: !c.inAnyOrder(found)}
	if !ok || !check.serves(products) {
		return chosen, fmt.Errorf("%s: %s has %s %s for %s, which is no algorithm that a run can be "+
			"repeated with in %v; remove the line", AlgorithmsVariable, a.path, kept.Algorithm, kept.Math,
			key, products)
	}
	chosen.algorithm = found
	if chosen.bytes, err = c.workspace(found); err != nil {
		return chosen, fmt.Errorf("%s: %s has %s for %s: %w; remove the line", AlgorithmsVariable, a.path,
			kept.Algorithm, key, err)
	}
	return chosen, c.setMath(found.math)
}

// fastest measures the algorithms of a pass. Where none of them serves it is what the rule says.
func (c *legacyConvolution) fastest(products arithmetic, memory pool) (recordedAlgorithm, error) {
	measured, err := c.measured(memory)
	if err != nil {
		return recordedAlgorithm{}, err
	}
	for _, found := range measured {
		if found.serves(products) {
			return recordedAlgorithm{c.name(found.algorithm), mathNames[found.math], found.microseconds}, nil
		}
	}
	chosen, err := c.byRule(products)
	return recordedAlgorithm{Algorithm: c.name(chosen.algorithm), Math: mathNames[chosen.math]}, err
}
