package infer

import "slipway/onnx"

// batchBytes is what the values between the nodes of a batch may take, where nobody says how large
// it is to be.
const batchBytes = 256 << 20

// BatchOf returns Evaluate's batch size where none is asked for: DefaultBatch, or fewer images
// where the values between the model's nodes would take more than 256 MiB.
func BatchOf(model *onnx.Model) int {
	bytes, _ := imageBytes(model)
	return int(min(DefaultBatch, max(1, batchBytes/max(1, bytes))))
}

// batchOf is BatchOf of what a runtime runs, and DefaultBatch where it does not tell.
func batchOf(runtime Runtime) int {
	if m, ok := runtime.(interface{ graph() *onnx.Model }); ok {
		return BatchOf(m.graph())
	}
	return DefaultBatch
}
