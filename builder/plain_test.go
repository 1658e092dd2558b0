package builder_test

import (
	"math"
	"testing"

	"slipway/builder"
	"slipway/internal/ops"
)

// plain is a network computed from its definition alone, in float64 and with the
// simplest loops: what both engines are compared with.
type plain struct {
	network  *builder.Network
	weights  [][]float64 // in the order of Parameters, public layout
	images   []float64   // N×C×H×W or N×F
	batch    int
	training bool
	seed     uint64
	step     uint64
}

func newPlain(network *builder.Network, weights builder.Weights, images []float32,
	batch int) *plain {
	p := &plain{network: network, batch: batch, images: float64s(images)}
	for _, weight := range weights {
		p.weights = append(p.weights, float64s(weight.Data))
	}
	return p
}

func float64s(values []float32) []float64 {
	wide := make([]float64, len(values))
	for i, x := range values {
		wide[i] = float64(x)
	}
	return wide
}

// logits returns N×K, and the outputs of all layers by name.
func (p *plain) logits(t testing.TB) (logits []float64, outputs map[string][]float64) {
	t.Helper()
	x := p.images
	weights := p.weights
	outputs = make(map[string][]float64)
	for _, node := range p.network.Nodes() {
		own := weights[:len(node.Tensors)]
		weights = weights[len(own):]
		switch layer := node.Layer.(type) {
		case builder.Conv2D:
			x = p.conv2D(layer, node, x, own[0], own[1])
		case builder.Dense:
			x = p.dense(node, x, own[0], own[1])
		case builder.ReLU:
			x = apply(x, func(_ int, x float64) float64 { return math.Max(x, 0) })
		case builder.MaxPool2D:
			x = p.pool(node, layer.Kernel, layer.Stride, layer.Padding, x, math.Inf(-1), math.Max, 1)
		case builder.AvgPool2D:
			area := float64(layer.Kernel.Height * layer.Kernel.Width)
			x = p.pool(node, layer.Kernel, layer.Stride, layer.Padding, x, 0, func(a, b float64) float64 {
				return a + b
			}, area)
		case builder.Dropout:
			if p.training {
				masks := ops.NewMasks(p.seed, node.Name)
				masks.SetStep(p.step, 0)
				mask := make([]float32, len(x))
				masks.Fill(mask, 1, layer.P)
				x = apply(x, func(i int, x float64) float64 { return x * float64(mask[i]) })
			}
		case builder.Flatten:
		case builder.Softmax:
			return x, outputs
		default:
			t.Fatalf("the plain network knows no %s", node.Layer.Kind())
		}
		outputs[node.Name] = x
	}
	return x, outputs
}

func apply(x []float64, f func(i int, x float64) float64) []float64 {
	y := make([]float64, len(x))
	for i := range x {
		y[i] = f(i, x[i])
	}
	return y
}

// eachTap visits, for each output position (i, j) of a plane and each place
// (u, v) of the window there, the input's row and column, unless in the padding.
func eachTap(in, out builder.Shape, kernel, stride, padding builder.Size,
	visit func(i, j, u, v, row, column int)) {
	for i := range out[1] {
		for j := range out[2] {
			for u := range kernel.Height {
				for v := range kernel.Width {
					row, column := i*stride.Height+u-padding.Height, j*stride.Width+v-padding.Width
					if row >= 0 && row < in[1] && column >= 0 && column < in[2] {
						visit(i, j, u, v, row, column)
					}
				}
			}
		}
	}
}

func (p *plain) conv2D(layer builder.Conv2D, node builder.Node, x, weight,
	bias []float64) []float64 {
	in, out := node.Input, node.Output
	y := make([]float64, p.batch*out.Elements())
	for n := range p.batch {
		for o := range out[0] {
			plane := y[(n*out[0]+o)*out[1]*out[2]:][:out[1]*out[2]]
			for i := range plane {
				plane[i] = bias[o]
			}
			for c := range in[0] {
				image := x[(n*in[0]+c)*in[1]*in[2]:]
				filter := weight[(o*in[0]+c)*layer.Kernel.Height*layer.Kernel.Width:]
				eachTap(in, out, layer.Kernel, layer.Stride, layer.Padding, func(i, j, u, v, row, column int) {
					plane[i*out[2]+j] += filter[u*layer.Kernel.Width+v] * image[row*in[2]+column]
				})
			}
		}
	}
	return y
}

func (p *plain) pool(node builder.Node, kernel, stride, padding builder.Size, x []float64,
	start float64, join func(a, b float64) float64, divisor float64) []float64 {
	in, out := node.Input, node.Output
	y := make([]float64, p.batch*out.Elements())
	for plane := range p.batch * in[0] {
		image, pooled := x[plane*in[1]*in[2]:], y[plane*out[1]*out[2]:][:out[1]*out[2]]
		for i := range pooled {
			pooled[i] = start
		}
		eachTap(in, out, kernel, stride, padding, func(i, j, _, _, row, column int) {
			pooled[i*out[2]+j] = join(pooled[i*out[2]+j], image[row*in[2]+column])
		})
		for i := range pooled {
			pooled[i] /= divisor
		}
	}
	return y
}

func (p *plain) dense(node builder.Node, x, weight, bias []float64) []float64 {
	in, out := node.Input[0], node.Output[0]
	y := make([]float64, p.batch*out)
	for n := range p.batch {
		for o := range out {
			sum := bias[o]
			for i := range in {
				sum += weight[o*in+i] * x[n*in+i]
			}
			y[n*out+o] = sum
		}
	}
	return y
}

// gradients returns the finite differences of Σ logits·dy with respect to every
// parameter. In float64 a step of 1e-6 leaves errors of about 1e-9, far below
// float32's.
func (p *plain) gradients(t testing.TB, dy []float32) [][]float32 {
	t.Helper()
	const step = 1e-6
	loss := func() float64 {
		logits, _ := p.logits(t)
		sum := 0.0
		for i, y := range logits {
			sum += y * float64(dy[i])
		}
		return sum
	}
	var gradients [][]float32
	for _, weight := range p.weights {
		gradient := make([]float32, len(weight))
		for i, w := range weight {
			weight[i] = w + step
			above := loss()
			weight[i] = w - step
			gradient[i] = float32((above - loss()) / (2 * step))
			weight[i] = w
		}
		gradients = append(gradients, gradient)
	}
	return gradients
}
