// Package port says how images go into an ONNX image classifier and how its scores come
// out, whatever runs it: which input and which output are meant, how pixels are laid out and
// scaled, what one score an image means, and what a model ends in.
//
//	ports, err := port.Find(model, "")            // the image input, the score output
//	layout, err := ports.LayoutOf(batch, "m.onnx") // N×C×H×W, N×H×W×C, N×H×W or N×features
//	logits, err := ports.Logits(values, shape, batch.N)
//	best := port.Best(nil, logits.Row(0), 5)            // the classes of the first image
//	port.ScaleOf(model, "").Probabilities(logits.Row(0)) // in place
//
// Packages infer and classify both stand on it, so that both answer the same. It knows
// neither data sets nor trainers.
package port
