//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"fmt"

	"gorgonia.org/cu"
	cudnn "gorgonia.org/cu/dnn"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/ops"
)

// machineOptions say what a Machine computes, and where.
type machineOptions struct {
	// Wanted are the nodes whose values are asked for; what none of them depends
	// on is left out.
	Wanted gorgonia.Nodes
	// Resident nodes have memory of the caller's: inputs that are there already,
	// outputs that it wants there.
	Resident map[*gorgonia.Node]*buffer
	// Batch has memory of the caller's, float64, for what the batch says of a running statistic, by its node.
	Batch map[*gorgonia.Node]*buffer
	// Several says that the batch may be one of several of a step, whose masks begin where the
	// ledger says.
	Several bool
	// Ledger holds the step whose dropout masks are drawn; the machine has one of
	// its own if it is nil, and takes the masks' own step.
	Ledger *buffer
	// Others and Shares are the caller's memory of the second label of each image and of its first
	// one's share, where a graph mixes them. Nil ones are the machine's own, of the host's values.
	Others, Shares *buffer
	// Combinations are those that labels are places in, of the binary loss alone; nil ones are the
	// graph's own.
	Combinations [][]int32
	// Products is what the products of convolutions and of dense layers are computed in, but
	// those that a kernel of Slipway's computes, which are in float32. With bf16 it is also what maps
	// are kept in (machine_maps.go), which no kernel leaves out.
	Products arithmetic
	// Images is the input that is a map, and Rounded has memory of the caller's of the weights in
	// bf16, of which the machine makes those that are missing. Both are of bf16 alone.
	Images  *gorgonia.Node
	Rounded map[*gorgonia.Node]*buffer
	// OneStream has all launches in one stream, in the order in which they are compiled.
	OneStream bool
}

// Machine is a gorgonia.VM that runs a graph of builder.EnginePlain on the GPU.
// Compiling it allocates everything; running it launches and allocates nothing.
type Machine struct {
	gpu      *gpu
	memory   pool
	options  machineOptions
	values   map[*gorgonia.Node]*buffer
	inputs   gorgonia.Nodes // those whose values are on the host
	launches []launch
	ledger   *buffer
	masks    *ops.Masks // nil without dropout
	mixed    mixed      // second labels whose values are on the host

	workspaces [2]buffer // of cuDNN's calls, by lane
	fusion     fusion
	penalties  map[*gorgonia.Node]*penalised // by penalty of parameters
	correct    *buffer                       // how many images are classified right, uint64

	// there says of nodes behind how many launches their values are there, and written are those of
	// the node that is being compiled.
	there   map[*gorgonia.Node]int
	written gorgonia.Nodes

	handed     map[*gorgonia.Node]gorgonia.Nodes // by gradient: those that hand on what it computes beside its value
	saved      map[*gorgonia.Node]*buffer        // by operator: what its gradient needs beside the graph's values
	geometries map[geometry]*buffer
	padded     map[paddedInput]*buffer
	learned    []learnedStatistic

	plans     []*boundPlan              // of cuDNN's graph API
	planned   map[*gorgonia.Node]bool   // those whose values a plan writes
	unplanned map[*gorgonia.Node]string // why a node that could have a plan has none

	lights       []*lightPlan // of cuBLASLt
	halves       halves       // in bf16
	convolutions []*legacyConvolution

	filters     []*cudnn.Filter
	descriptors []any // what a finalizer would take from the launches
	closed      bool
}

var _ gorgonia.VM = (*Machine)(nil)

// newMachine compiles the graph. It runs on the device's thread.
func newMachine(g *gpu, options machineOptions) (*Machine, error) {
	m := &Machine{
		gpu: g, memory: pool{gpu: g}, options: options, ledger: options.Ledger,
		values: make(map[*gorgonia.Node]*buffer), penalties: make(map[*gorgonia.Node]*penalised),
		handed: make(map[*gorgonia.Node]gorgonia.Nodes), saved: make(map[*gorgonia.Node]*buffer),
		geometries: make(map[geometry]*buffer), padded: make(map[paddedInput]*buffer),
		planned: make(map[*gorgonia.Node]bool), unplanned: make(map[*gorgonia.Node]string),
		there: make(map[*gorgonia.Node]int),
	}
	if err := m.compile(); err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

func (m *Machine) compile() error {
	if m.inBF16() {
		if err := m.gpu.loadHalfKernels(); err != nil {
			return err
		}
	}
	if m.ledger == nil {
		var err error
		if m.ledger, err = m.memory.allocate("ledger", ledgerBytes); err != nil {
			return err
		}
		if err := upload(m.gpu, m.ledger, []ledger{{}}); err != nil {
			return err
		}
	}
	order := sorted(m.options.Wanted)
	for node, b := range m.options.Resident {
		m.values[node] = b
	}
	m.findHanded(order)
	m.fusion = newFusion(order, m.options.Wanted)
	m.findMaps(order)
	// A penalised gradient is computed in the memory of the gradient itself.
	for _, node := range order {
		if d, ok := ops.Describe(node.Op()); ok && d.Kind == ops.PenalisedGradient {
			if b, resident := m.options.Resident[node]; resident {
				m.values[ops.Operands(node)[0]] = b
			}
		}
	}
	for _, node := range order {
		before := len(m.launches)
		if err := m.add(node); err != nil {
			return fmt.Errorf("node %s: %w", nodeName(node), err)
		}
		m.compiled(node, before)
	}
	if err := m.arrange(); err != nil {
		return err
	}
	if err := m.allocateWorkspaces(); err != nil {
		return err
	}
	if err := m.bindPlans(); err != nil {
		return err
	}
	return m.uploadInputs()
}

// mixed are a graph's second labels and shares on the host, and their memory on the device.
type mixed struct {
	targets        *ops.Targets // nil if there are none
	others, shares *buffer
}

// upload brings them to the device.
func (x mixed) upload(g *gpu) error {
	if x.targets == nil {
		return nil
	}
	return errors.Join(upload(g, x.others, x.targets.Others), upload(g, x.shares, x.targets.Shares))
}

// sorted lists what the wanted nodes depend on, each node after its inputs. The
// order depends on the graph alone.
func sorted(wanted gorgonia.Nodes) gorgonia.Nodes {
	var order gorgonia.Nodes
	seen := make(map[*gorgonia.Node]bool)
	var visit func(node *gorgonia.Node)
	visit = func(node *gorgonia.Node) {
		if seen[node] {
			return
		}
		seen[node] = true
		for _, child := range ops.Operands(node) {
			visit(child)
		}
		order = append(order, node)
	}
	for _, node := range wanted {
		visit(node)
	}
	return order
}

func nodeName(node *gorgonia.Node) string {
	if node.Op() != nil {
		return fmt.Sprintf("%v %v", node.Op(), node.Shape())
	}
	return fmt.Sprintf("%s %v", node.Name(), node.Shape())
}

// add gives the node memory and appends what computes it.
func (m *Machine) add(node *gorgonia.Node) error {
	if node.Op() == nil {
		return m.addInput(node)
	}
	if m.fusion.elsewhere[node] || m.fusion.hidden[node] && !hasBias(node) {
		return nil
	}
	inputs := make([]*buffer, 0, 4)
	nodes := ops.Operands(node)
	for _, child := range nodes {
		inputs = append(inputs, m.values[child])
	}
	description, ok := ops.Describe(node.Op())
	switch {
	case ok && description.Kind == ops.View:
		return m.addView(node, inputs[0])
	case ok && description.Kind == ops.HandedOn:
		return nil // its operand has computed it
	case ok && description.Kind == ops.PenalisedGradient:
		return m.addPenalisedGradient(node, nodes, inputs, description)
	}
	if m.planned[node] {
		return nil // with the convolution before it
	}
	if err := m.checkBF16(description.Kind); err != nil {
		return err
	}
	if ok {
		if planned, err := m.addPlanned(operation{description, node, nodes, inputs, nil}); planned || err != nil {
			return err
		}
	}
	output, err := m.output(node)
	if err != nil {
		return err
	}
	if ok {
		return m.addDescribed(node, nodes, inputs, output, description)
	}
	return errors.New("has no GPU form; train this network with -device cpu")
}

// output returns the node's memory: the caller's, or newly allocated.
func (m *Machine) output(node *gorgonia.Node) (*buffer, error) {
	m.written = append(m.written, node)
	if b := m.values[node]; b != nil {
		return b, nil
	}
	bytes := m.valueBytes(node) * int64(max(node.Shape().TotalSize(), 1))
	b, err := m.memory.allocate("its value", bytes)
	m.values[node] = b
	return b, err
}

// addInput gives an input memory; its value is uploaded unless it is resident.
func (m *Machine) addInput(node *gorgonia.Node) error {
	if m.values[node] != nil {
		return nil
	}
	if node.Value() == nil {
		return errors.New("has no value and no operator")
	}
	m.inputs = append(m.inputs, node)
	_, err := m.output(node)
	return err
}

// addView gives the node its input's memory, or a copy where it has its own.
func (m *Machine) addView(node *gorgonia.Node, input *buffer) error {
	own := m.values[node]
	if own == nil {
		m.values[node] = input
		return nil
	}
	bytes := int64(node.Shape().TotalSize()) * m.valueBytes(node)
	m.written = append(m.written, node)
	m.append("cuMemcpyDtoDAsync", func() error { return copyAsync(own.address, input.address, bytes, m.gpu.stream) })
	return nil
}

// launch appends a launch of one of Slipway's kernels: of its form for maps in bf16, where these
// are and it has one.
func (m *Machine) launch(name string, threads, rows int, arguments ...any) error {
	if half := name + bf16Suffix; m.inBF16() && m.gpu.functions[half] != (cu.Function{}) {
		name = half
	}
	return m.launchFloats(name, threads, rows, arguments...)
}

// launchFloats is launch of the kernel of that very name.
func (m *Machine) launchFloats(name string, threads, rows int, arguments ...any) error {
	l, err := m.gpu.kernel(name, threads, rows, arguments...)
	if err != nil {
		return err
	}
	m.launches = append(m.launches, l)
	return nil
}

// append appends a library's call, which works in the stream of the steps.
func (m *Machine) append(name string, run func() error) {
	m.launches = append(m.launches,
		launch{name: name, fixed: true, run: func(*lane) error { return run() }})
}

// tickets returns so many counters that launches begin and end with at 0.
func (m *Machine) tickets(n int) (*buffer, error) {
	b, err := m.memory.allocate("tickets", int64(n)*4)
	if err != nil {
		return nil, err
	}
	return b, upload(m.gpu, b, make([]uint32, n))
}

// uploadInputs brings the values of the graph's inputs to the device.
func (m *Machine) uploadInputs() error {
	for _, node := range m.inputs {
		var err error
		switch value := node.Value().(type) {
		case *gorgonia.F32:
			err = upload(m.gpu, m.values[node], []float32{float32(*value)})
		case *tensor.Dense:
			switch value.Dtype() {
			case tensor.Float32:
				err = m.uploadMap(node, value.Float32s())
			case tensor.Int32:
				err = upload(m.gpu, m.values[node], value.Int32s())
			default:
				err = fmt.Errorf("is of %v; float32 and int32 have a GPU form", value.Dtype())
			}
		default:
			err = fmt.Errorf("is a %T, which has no GPU form", value)
		}
		if err != nil {
			return fmt.Errorf("input %s: %w", node.Name(), err)
		}
	}
	return m.mixed.upload(m.gpu)
}

// RunAll uploads the values of the inputs that are on the host and runs the graph.
func (m *Machine) RunAll() error {
	return m.gpu.thread.do(func() error {
		if m.closed {
			return errors.New("the machine is closed")
		}
		if m.options.Ledger == nil && m.masks != nil {
			if err := upload(m.gpu, m.ledger, []ledger{{Step: m.masks.Step()}}); err != nil {
				return err
			}
		}
		if err := m.uploadInputs(); err != nil {
			return err
		}
		return errors.Join(runAll(m.gpu, m.launches), m.gpu.wait())
	})
}

// Reset does nothing: a run depends on the inputs alone.
func (m *Machine) Reset() {}

// Float32s returns a copy of a node's value after a run.
func (m *Machine) Float32s(node *gorgonia.Node) (values []float32, err error) {
	if _, ok := m.values[node]; !ok || m.fusion.hidden[node] {
		return nil, fmt.Errorf("node %s was not asked for", nodeName(node))
	}
	err = m.gpu.thread.do(func() (err error) {
		values, err = m.downloadMap(node, max(node.Shape().TotalSize(), 1))
		return err
	})
	return values, err
}

// Close frees the machine's memory.
func (m *Machine) Close() error { return m.gpu.thread.do(m.close) }

func (m *Machine) close() error {
	if m.closed {
		return nil
	}
	m.closed = true
	all := []error{m.memory.free()}
	for _, plan := range m.plans {
		all = append(all, plan.close())
	}
	m.plans = nil
	all = append(append(all, m.closeLights()...), m.closeHalves()...)
	for _, filter := range m.filters {
		all = append(all, destroyFilter(filter))
	}
	m.filters, m.descriptors, m.launches, m.convolutions = nil, nil, nil, nil
	return errors.Join(all...)
}
