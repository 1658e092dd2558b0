package port

import "slipway/onnx"

// DefaultBatch is a batch's size, where memory allows it: on E1, larger ones answer no more
// images a second.
const DefaultBatch = 64

// batchBytes is what the values between the nodes of a batch may take, where nobody says how large
// it is to be.
const batchBytes = 256 << 20

// BatchOf returns the batch size where none is asked for: DefaultBatch, or fewer images where the
// values between the model's nodes would take more than 256 MiB.
func BatchOf(model *onnx.Model) int {
	bytes, _ := ImageBytes(model)
	return int(min(DefaultBatch, max(1, batchBytes/max(1, bytes))))
}

// ImageBytes returns what the values between the nodes take of one image, at least, and the size of
// a batch where the model fixes it, 0 otherwise.
func ImageBytes(model *onnx.Model) (bytes int64, fixed int) {
	report := onnx.Inspect(model)
	bytes, _ = report.LiveBytes()
	if report.Batch > 0 {
		return bytes / report.Batch, int(report.Batch)
	}
	return bytes, 0
}
