package convert

import (
	"slipway/onnx"
	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// call is a node whose attributes are read, as builder.Importer wants them.
type call struct {
	node  *onnxpb.NodeProto
	opset int64
}

func (r *raising) call(node *onnxpb.NodeProto) *call { return &call{node: node, opset: r.opset} }

// Float implements builder.Attributes.
func (c *call) Float(name string, otherwise float64) float64 {
	return decimal(c.number(name, float32(otherwise)))
}

// String implements builder.Attributes.
func (c *call) String(name string) string { return string(message.Attribute(c.node, name).GetS()) }

// number returns the value of a float attribute.
func (c *call) number(name string, otherwise float32) float32 {
	if attribute := message.Attribute(c.node, name); attribute != nil {
		return attribute.GetF()
	}
	return otherwise
}

func (c *call) integer(name string, otherwise int64) int64 {
	return message.Integer(c.node, name, otherwise)
}

func (c *call) axis(otherwise int64, rank, last int) (int, error) {
	return message.Axis(c.node, otherwise, rank, last)
}

func (c *call) window(spatial int, kernel []int64) (message.Window, error) {
	return message.WindowOf(c.node, spatial, kernel)
}

// label is what errors of a model begin with.
func label(m *onnx.Model) string {
	if m.Path() != "" {
		return m.Path()
	}
	return "model"
}
