package ops

import (
	"fmt"

	"gorgonia.org/tensor"
)

// Window is a pooling window that slides over a feature map: sizes in pixels of
// the input, padding on each side.
type Window struct {
	KernelHeight, KernelWidth   int
	StrideHeight, StrideWidth   int
	PaddingHeight, PaddingWidth int
}

// pooling is a window on an N×C×H×W input.
type pooling struct {
	Window
	planes, height, width     int // planes is N·C
	outputHeight, outputWidth int
	output                    tensor.Shape
}

func newPooling(input tensor.Shape, w Window) (pooling, error) {
	if input.Dims() != 4 {
		return pooling{}, fmt.Errorf("pooling takes N×C×H×W, not %v", input)
	}
	p := pooling{Window: w, planes: input[0] * input[1], height: input[2], width: input[3]}
	p.outputHeight = (p.height+2*w.PaddingHeight-w.KernelHeight)/w.StrideHeight + 1
	p.outputWidth = (p.width+2*w.PaddingWidth-w.KernelWidth)/w.StrideWidth + 1
	if p.outputHeight < 1 || p.outputWidth < 1 {
		return pooling{}, fmt.Errorf("pooling window %+v is larger than the input %v", w, input)
	}
	p.output = tensor.Shape{input[0], input[1], p.outputHeight, p.outputWidth}
	return p, nil
}

// each calls visit for every output value with its index and the part of the
// input plane under its window, padding left out: rows top…bottom and columns
// left…right, ends excluded, of the plane that begins at base.
func (p pooling) each(visit func(output, base, top, bottom, left, right int)) {
	output := 0
	for plane := range p.planes {
		for i := range p.outputHeight {
			top := i*p.StrideHeight - p.PaddingHeight
			bottom := min(top+p.KernelHeight, p.height)
			for j := range p.outputWidth {
				left := j*p.StrideWidth - p.PaddingWidth
				right := min(left+p.KernelWidth, p.width)
				visit(output, plane*p.height*p.width, max(top, 0), bottom, max(left, 0), right)
				output++
			}
		}
	}
}
