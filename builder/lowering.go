package builder

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
	"slipway/internal/ops"
)

// lowering is a network in the course of being lowered.
type lowering struct {
	network   *Network
	variables *Variables
	graph     *Lowered
	engine    string
	kernels   kernel.Engine // of the native engine
	options   LowerOptions
	consumers [][]int
	values    gorgonia.Nodes   // by node: its output
	tensors   []gorgonia.Nodes // by node
	places    [][]int          // by node: its tensors' places among the variables
	outside   []bool           // by node: not in the graph; nil if all are
}

func newLowering(n *Network, variables *Variables, options LowerOptions, outside []bool) *lowering {
	if options.To != "" {
		options.Keep = append(slices.Clone(options.Keep), options.To) // nothing is fused with it
	}
	l := &lowering{
		network: n, variables: variables, engine: variables.engine.name,
		kernels: variables.engine.kernels, options: options,
		consumers: n.consumers(), values: make(gorgonia.Nodes, len(n.nodes)),
		graph:   &Lowered{Expr: gorgonia.NewGraph(), Activations: make(map[string]*gorgonia.Node)},
		outside: outside,
	}
	if variables.engine.bf16 && options.Training {
		l.kernels.BF16 = new(kernel.BF16)
	}
	at := 0
	for i, node := range n.nodes {
		var tensors gorgonia.Nodes
		var places []int
		for _, spec := range node.Tensors {
			if l.without(i) {
				l.graph.keep(spec.Role, nil)
				places = append(places, at)
				at++
				continue
			}
			value := variables.values[at]
			leaf := gorgonia.NewTensor(l.graph.Expr, tensor.Float32, value.Dims(),
				gorgonia.WithShape(value.Shape()...), gorgonia.WithName(spec.Name), gorgonia.WithValue(value))
			l.graph.keep(spec.Role, leaf)
			tensors, places = append(tensors, leaf), append(places, at)
			at++
		}
		l.tensors, l.places = append(l.tensors, tensors), append(l.places, places)
	}
	return l
}

// keep lists the node of a tensor of that role.
func (g *Lowered) keep(role Role, leaf *gorgonia.Node) {
	if role == Learned {
		g.Parameters = append(g.Parameters, leaf)
		return
	}
	g.Statistics = append(g.Statistics, leaf)
}

func (l *lowering) lower() error {
	l.input()
	for i, node := range l.network.nodes {
		if l.values[i] != nil || l.without(i) {
			continue // fused into the one before, or not in the graph
		}
		p := &place{lowering: l, node: node, at: i, last: i, tensors: l.tensors[i]}
		for _, input := range node.Inputs {
			p.in = append(p.in, l.value(input))
		}
		if node.Layer.Kind() == softmaxKind {
			l.graph.Logits = p.in[0]
		}
		y, err := p.lower()
		if err != nil {
			return fmt.Errorf("layer %s: %w", node.Name, err)
		}
		l.values[i], l.values[p.last] = y, y
		for at := i; at != p.last; at = l.consumers[at][0] {
			l.values[at] = y // fused: nobody else asks for it
		}
	}
	for i, node := range l.network.nodes {
		if slices.Contains(l.options.Keep, node.Name) {
			l.graph.Activations[node.Name] = l.values[i]
		}
	}
	if l.options.To != "" {
		l.graph.Logits = l.graph.Activations[l.options.To]
	}
	if l.graph.Logits == nil {
		l.graph.Logits = l.values[len(l.values)-1]
	}
	return nil
}

// without reports whether node i is not in the graph.
func (l *lowering) without(i int) bool { return l.outside != nil && l.outside[i] }

func (l *lowering) value(place int) *gorgonia.Node {
	if place < 0 {
		return l.graph.Input
	}
	return l.values[place]
}

// shape is that of a batch in the engine's layout.
func (l *lowering) shape(example Shape) tensor.Shape {
	if len(example) == 3 && l.engine == EngineNative {
		return tensor.Shape{l.options.Batch, example[1], example[2], example[0]}
	}
	return append(tensor.Shape{l.options.Batch}, example...)
}

// input makes the input node. Images of one channel lie the same way in both
// layouts, others are rearranged by Feed.
func (l *lowering) input() {
	from := slices.IndexFunc(l.network.nodes, func(node Node) bool {
		return node.Name == l.options.From && l.options.From != ""
	})
	shape := l.shape(l.network.input)
	if from >= 0 {
		shape = l.shape(l.network.nodes[from].Output)
	}
	values := make([]float32, shape.TotalSize())
	l.graph.images = values
	if from < 0 && l.engine == EngineNative && len(shape) == 4 && shape[3] > 1 {
		l.graph.images = make([]float32, len(values))
		l.graph.feed = func() { ops.ToChannelsLast(values, l.graph.images, shape) }
	}
	l.graph.Input = gorgonia.NewTensor(l.graph.Expr, tensor.Float32, len(shape),
		gorgonia.WithShape(shape...), gorgonia.WithName("image"),
		gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(values))))
	if from >= 0 {
		l.values[from] = l.graph.Input
	}
}

// place is a node that is being lowered.
type place struct {
	*lowering
	node Node
	at   int
	// last is the last of the nodes that are lowered together: the node itself, unless it is fused
	// with what follows.
	last    int
	in      gorgonia.Nodes
	tensors gorgonia.Nodes
}

// plainLayer is a layer with operators of its own on the engines that work on the public layout.
type plainLayer interface {
	plain(p *place) (*gorgonia.Node, error)
}

// nativeLayer is a layer with operators of its own on the native engine, where maps are N×H×W×C.
type nativeLayer interface {
	native(p *place) (*gorgonia.Node, error)
}

// deviceLayer is a layer whose Computation an executor for a device computes by other means, by
// what form says of it.
type deviceLayer interface {
	form(call Call) ops.Description
}

func (p *place) lower() (*gorgonia.Node, error) {
	if layer, ok := p.node.Layer.(nativeLayer); ok && p.engine == EngineNative {
		return layer.native(p)
	}
	if layer, ok := p.node.Layer.(plainLayer); ok && p.engine != EngineNative {
		return layer.plain(p)
	}
	return p.compute()
}

// bias is the layer's second tensor, nil if it has one alone.
func (p *place) bias() *gorgonia.Node {
	if len(p.tensors) < 2 {
		return nil
	}
	return p.tensors[1]
}

// sync is LowerOptions.Sync's for the layer, nil if there is none.
func (p *place) sync() kernel.BatchSync {
	if p.options.Sync == nil || !p.options.Training || !p.node.WholeBatch {
		return nil
	}
	return p.options.Sync(p.node.Name)
}

// masks are those that a layer draws in training.
func (p *place) masks() *ops.Masks {
	masks := ops.NewMasks(p.options.Seed, p.node.Name)
	p.graph.masks = append(p.graph.masks, masks)
	return masks
}

// update registers what brings the layer's statistics up to date.
func (p *place) update(update func(tensors [][]float32)) {
	var tensors [][]float32
	for _, at := range p.places[p.at] {
		tensors = append(tensors, p.variables.values[at].Float32s())
	}
	p.graph.updates = append(p.graph.updates, func() { update(tensors) })
}

// fuse takes up the node behind the last one taken, if it is of that kind, nothing else takes what
// it takes, and nobody asks for it. It returns that node's layer.
func (p *place) fuse(kind string) (Layer, bool) {
	next, ok := p.next(kind)
	if ok {
		p.last = p.consumers[p.last][0]
	}
	return next, ok
}

// next returns the layer that fuse would take up.
func (p *place) next(kind string) (Layer, bool) {
	consumers := p.consumers[p.last]
	if len(consumers) != 1 || slices.Contains(p.options.Keep, p.network.nodes[p.last].Name) {
		return nil, false
	}
	next := p.network.nodes[consumers[0]]
	if next.Layer.Kind() != kind || len(next.Inputs) != 1 {
		return nil, false
	}
	return next.Layer, true
}

// fuseSum takes up the Add of two values behind the node, if nobody else takes what it adds, and
// the other one is there already. It returns that one, or nil.
func (p *place) fuseSum() *gorgonia.Node {
	consumers := p.consumers[p.last]
	if len(consumers) != 1 || slices.Contains(p.options.Keep, p.network.nodes[p.last].Name) {
		return nil
	}
	sum := p.network.nodes[consumers[0]]
	if sum.Layer.Kind() != (Add{}).Kind() || len(sum.Inputs) != 2 {
		return nil
	}
	other := p.value(sum.Inputs[0] + sum.Inputs[1] - p.last)
	if other != nil {
		p.last = consumers[0]
	}
	return other
}

// compute lowers the layer to its Computation, on the public layout: where the engine has another
// one, values are rearranged before and after.
func (p *place) compute() (*gorgonia.Node, error) {
	call := p.node.call(p.options.Batch, p.options.Training)
	if p.options.Training {
		call.Random = p.masks()
		call.sync = p.sync()
	}
	computation, err := p.node.Layer.Compute(call)
	if err != nil {
		return nil, err
	}
	if computation.Forward == nil {
		return nil, fmt.Errorf("%s has a computation without Forward", p.node.Layer.Kind())
	}
	if computation.Update != nil && p.options.Training {
		p.update(computation.Update)
	}
	inputs := append(slices.Clone(p.in), p.tensors...)
	c := ops.Computation{Name: p.node.Layer.Kind(), Output: p.shape(p.node.Output),
		Forward: computation.Forward}
	if layer, ok := p.node.Layer.(deviceLayer); ok && p.engine == EnginePlain {
		c.Description = layer.form(call)
	}
	every := make([]int, len(inputs))
	for i := range every {
		every[i] = i
	}
	if computation.Backward != nil {
		// Statistics are asked for no gradient: they are not among the parameters.
		c.Gradients = []ops.Gradient{{
			Of: every, ReadsOutput: true, Reads: every, Run: computation.Backward,
			Description: c.Description.Gradient(),
		}}
	}
	if p.engine == EngineNative {
		var shapes []tensor.Shape
		for _, in := range p.in {
			shapes = append(shapes, in.Shape())
		}
		c = ops.OnChannelsFirst(c, shapes)
	}
	return ops.Apply(c, inputs...)
}
