package infer

import (
	"slipway/infer/port"
	"slipway/onnx"
)

// BatchOf returns Evaluate's batch size where none is asked for, as port.BatchOf does.
func BatchOf(model *onnx.Model) int { return port.BatchOf(model) }

// batchOf is BatchOf of what a runtime runs, and DefaultBatch where it does not tell.
func batchOf(runtime Runtime) int {
	if m, ok := runtime.(interface{ graph() *onnx.Model }); ok {
		return BatchOf(m.graph())
	}
	return DefaultBatch
}
