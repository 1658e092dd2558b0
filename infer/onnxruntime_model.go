//go:build cgo

package infer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	ort "github.com/yalue/onnxruntime_go"

	"slipway/internal/onnxgraph"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// externalFolder is the option for where external data lies of a model that is no file.
const externalFolder = "session.model_external_initializers_file_folder_path"

// runnable is what onnxruntime is given of a model. What was checked is what runs: these are the
// bytes that were, not the file, which may have changed, nor external data, which onnx.Read has
// moved into the model; and weights that were left in the file are seen to have been the same all
// along.
type runnable struct {
	content []byte
	left    *onnx.File // nil where all weights are in the content
	// inPlace are those of the weights left that onnxruntime reads where they are.
	inPlace map[string]bool
}

func modelToRun(model *onnx.Model) (runnable, error) {
	if model.Left() == nil {
		content, err := model.Content()
		return runnable{content: content}, err
	}
	// onnxruntime asks for a file of that name, and is lent the weights. If it looked into the file for
	// one of them, to compute another from it, it would find nothing there and say so.
	content, err := model.EncodeReferring(filepath.Base(os.DevNull))
	return runnable{content: content, left: model.Left(),
		inPlace: factorsOf(model.Proto.GetGraph())}, err
}

// copying returns the model for a session that copies all weights to where it computes.
func (m runnable) copying() runnable {
	m.inPlace = nil
	return m
}

// factorsOf returns the initializers that are used as the second factor of products, by their names,
// and as nothing else: onnxruntime packs them, and uses the packed ones alone.
func factorsOf(graph *onnxpb.GraphProto) map[string]bool {
	factors, others := make(map[string]bool), make(map[string]bool)
	for _, node := range graph.GetNode() {
		product := node.GetDomain() == "" && slices.Contains([]string{"MatMul", "Gemm"}, node.GetOpType())
		for i, input := range node.GetInput() {
			if product && i == 1 {
				factors[input] = true
			} else {
				others[input] = true
			}
		}
		for _, inner := range onnxgraph.Subgraphs(node) {
			onnxgraph.TakeWithin(inner, others)
		}
	}
	for _, values := range [][]*onnxpb.ValueInfoProto{graph.GetInput(), graph.GetOutput()} {
		for _, value := range values {
			others[value.GetName()] = true
		}
	}
	matrices := make(map[string]bool)
	for _, tensor := range graph.GetInitializer() {
		if name := tensor.GetName(); len(tensor.GetDims()) == 2 && factors[name] && !others[name] {
			matrices[name] = true
		}
	}
	return matrices
}

func (m runnable) size() int64 {
	if m.left != nil {
		return m.left.Size()
	}
	return int64(len(m.content))
}

// session makes a session, and destroys the options.
func (m runnable) session(inputs, outputs []string, options *ort.SessionOptions,
	library Library) (*session, error) {
	var weights *loan
	if m.left != nil {
		err := options.AddSessionConfigEntry(externalFolder, filepath.Dir(os.DevNull))
		if err == nil {
			weights, err = lend(m.left, m.inPlace, library, options)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("lend the weights: %w", err), options.Destroy())
		}
	}
	made, err := ort.NewDynamicAdvancedSessionWithONNXData(m.content, inputs, outputs, options)
	err = errors.Join(err, options.Destroy())
	s := &session{DynamicAdvancedSession: made, loan: weights}
	if err == nil && weights != nil {
		err = weights.settle()
	}
	switch {
	case err == nil:
		return s, nil
	case made != nil:
		return nil, errors.Join(err, s.end())
	case weights != nil:
		weights.Close()
	}
	return nil, err
}
