//go:build cgo

package infer

import (
	"errors"
	"runtime/debug"

	ort "github.com/yalue/onnxruntime_go"

	"slipway/onnx"
)

// runnable is what onnxruntime is given of a model. What was checked is what runs: these are the
// bytes that were, not the file, which may have changed, nor external data, which onnx.Read has
// moved into the model; and where it reads the file, that is seen to have had the same bytes.
type runnable struct {
	content []byte
	file    *onnx.File // nil where there are bytes
}

// modelToRun returns a model for onnxruntime to read, by its file, and without its weights, if
// detach says so and it can be.
func modelToRun(model *onnx.Model, detach bool) (runnable, error) {
	if detach {
		file, err := model.Detach()
		if err != nil {
			return runnable{}, err
		}
		if file != nil {
			debug.FreeOSMemory() // before onnxruntime takes as much
			return runnable{file: file}, nil
		}
	}
	content, err := model.Content()
	return runnable{content: content}, err
}

func (m runnable) size() int64 {
	if m.file != nil {
		return m.file.Size()
	}
	return int64(len(m.content))
}

// session makes a session.
func (m runnable) session(inputs, outputs []string,
	options *ort.SessionOptions) (*ort.DynamicAdvancedSession, error) {
	if m.file == nil {
		return ort.NewDynamicAdvancedSessionWithONNXData(m.content, inputs, outputs, options)
	}
	session, err := ort.NewDynamicAdvancedSession(m.file.Path(), inputs, outputs, options)
	if changed := m.file.Unchanged(); changed != nil {
		if err == nil {
			err = session.Destroy()
		}
		return nil, errors.Join(changed, err)
	}
	return session, err
}

func (m runnable) close() error {
	if m.file == nil {
		return nil
	}
	return m.file.Close()
}
