package port

import (
	"fmt"
	"slices"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// NotesOf are the model's notes with its file's name, as Info has them, and what must
// be heard of its nodes.
func NotesOf(model *onnx.Model) []string {
	notes := append(model.Notes(), TrainingNotes(model)...)
	for i, note := range notes {
		notes[i] = model.Path() + ": " + note
	}
	return notes
}

// TrainingNotes tell of the nodes of the main graph that are in training mode: they
// compute with the images that happen to be beside one, with chance, or, in
// onnxruntime's BatchNormalization, with what the runs before left.
func TrainingNotes(model *onnx.Model) []string {
	for i, node := range model.Proto.GetGraph().GetNode() {
		if Trains(node, model) {
			return []string{fmt.Sprintf(
				"node %d (%s %q) is in training mode: what the model answers depends on the images beside one and on earlier runs; export it for inference",
				i, node.GetOpType(), node.GetName())}
		}
	}
	return nil
}

// Trains reports whether a node of the model is in training mode.
func Trains(node *onnxpb.NodeProto, model *onnx.Model) bool {
	switch node.GetOpType() {
	case "BatchNormalization":
		if model.Opset("") >= 14 {
			return slices.Equal(onnx.Integers(node, "training_mode"), []int64{1})
		}
		// Before, whoever asks for the batch's statistics trains.
		return slices.ContainsFunc(node.GetOutput()[min(1, len(node.GetOutput())):],
			func(name string) bool { return name != "" })
	case "Dropout":
		if len(node.GetInput()) < 3 {
			return false
		}
		tensor, ok := model.Initializer(node.GetInput()[2])
		return ok && (slices.Equal(tensor.GetRawData(), []byte{1}) || slices.Equal(tensor.GetInt32Data(),
			[]int32{1}))
	}
	return false
}
