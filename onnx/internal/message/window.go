package message

import (
	"fmt"

	"slipway/onnx/onnxpb"
)

// Window is how the kernel of a Conv or a pooling slides over the spatial
// dimensions (H and W of N×C×H×W).
type Window struct {
	Kernel, Strides, Dilations []int64
	Begin, End                 []int64 // pads
	AutoPad                    string
	Ceil                       bool
}

// WindowOf reads the window's attributes from a node. kernel is nil unless another input
// gives it, as Conv's weight does. Values below the least were refused before.
func WindowOf(node *onnxpb.NodeProto, spatial int, kernel []int64) (Window, error) {
	w := Window{AutoPad: "NOTSET"}
	list := func(name string, length int, otherwise int64) ([]int64, error) {
		attribute := Attribute(node, name)
		if attribute == nil {
			values := make([]int64, length)
			for i := range values {
				values[i] = otherwise
			}
			return values, nil
		}
		if len(attribute.GetInts()) != length {
			return nil, fmt.Errorf("%s has %d values; for %d spatial dimensions it needs %d", name,
				len(attribute.GetInts()), spatial, length)
		}
		return attribute.GetInts(), nil
	}
	var err error
	if w.Strides, err = list("strides", spatial, 1); err != nil {
		return w, err
	}
	if w.Dilations, err = list("dilations", spatial, 1); err != nil {
		return w, err
	}
	pads, err := list("pads", 2*spatial, 0)
	if err != nil {
		return w, err
	}
	w.Begin, w.End = pads[:spatial], pads[spatial:]
	w.Kernel = kernel
	if kernel == nil || Attribute(node, "kernel_shape") != nil {
		if w.Kernel, err = list("kernel_shape", spatial, 1); err != nil {
			return w, err
		}
	}
	for i, size := range kernel {
		if size >= 0 && size != w.Kernel[i] {
			return w, fmt.Errorf("kernel_shape %v is not that of the weight, %v", w.Kernel, kernel)
		}
	}
	if attribute := Attribute(node, "auto_pad"); attribute != nil {
		w.AutoPad = string(attribute.GetS())
	}
	switch w.AutoPad {
	case "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER":
	case "": // what writers based on proto3 make of the default
		w.AutoPad = "NOTSET"
	default:
		return w, fmt.Errorf("auto_pad is %q; it must be NOTSET, VALID, SAME_UPPER or SAME_LOWER",
			Shorten(w.AutoPad))
	}
	w.Ceil, err = Flag(node, "ceil_mode")
	return w, err
}
