package builder

import "fmt"

// Export is where a layer writes itself as ONNX operators of opset 13, which
// mean the same in 15. What a layer adds is
// neutral: package onnx makes the file of it.
type Export struct {
	// Call describes the layer's place; its Batch is 0, which is any.
	Call Call

	name    string
	inputs  []string
	tensors []string
	nodes   []Operator
	values  []Constant
}

// Operator is one node of an ONNX graph with one output.
type Operator struct {
	Name       string
	Type       string // such as "Conv"
	Inputs     []string
	Output     string
	Attributes []Attribute
}

// Attribute is one attribute of an operator. Value is an int64, a float32, a string or a []int64.
type Attribute struct {
	Name  string
	Value any
}

// Constant is a tensor that an operator takes beside the network's own: Floats or Integers, of
// these dimensions.
type Constant struct {
	Name     string
	Dims     []int
	Floats   []float32
	Integers []int64
}

// Integer returns an attribute of one integer.
func Integer(name string, value int64) Attribute { return Attribute{name, value} }

// Integers returns an attribute of a list of integers.
func Integers(name string, values ...int64) Attribute { return Attribute{name, values} }

// Number returns an attribute of one number.
func Number(name string, value float32) Attribute { return Attribute{name, value} }

// Text returns an attribute of a string.
func Text(name, value string) Attribute { return Attribute{name, value} }

// Input returns the name of the layer's input i, N×C×H×W or N×F.
func (e *Export) Input(i int) string { return e.inputs[i] }

// Tensor returns the name of the layer's tensor i, an initializer.
func (e *Export) Tensor(i int) string { return e.tensors[i] }

// Add adds the operator that gives the layer's output, and returns the output's name. The node is
// called as the layer. All attributes should be given, also where they equal the operator's
// default: not all runtimes agree on these.
func (e *Export) Add(operator string, inputs []string, attributes ...Attribute) string {
	return e.add(e.name, e.name+".output", operator, inputs, attributes)
}

// Step adds an operator on the way to the layer's output, and returns its output's name. step
// tells it from the layer's others.
func (e *Export) Step(step, operator string, inputs []string, attributes ...Attribute) string {
	return e.add(e.name+"."+step, e.name+"."+step+".output", operator, inputs, attributes)
}

func (e *Export) add(name, output, operator string, inputs []string,
	attributes []Attribute) string {
	e.nodes = append(e.nodes, Operator{Name: name, Type: operator, Inputs: inputs, Output: output,
		Attributes: attributes})
	return output
}

// Floats adds a constant of float32, of these dimensions, and returns its name.
func (e *Export) Floats(name string, values []float32, dims ...int) string {
	return e.constant(Constant{Name: e.name + "." + name, Dims: dims, Floats: values})
}

// Int64s adds a constant vector of integers and returns its name.
func (e *Export) Int64s(name string, values ...int64) string {
	return e.constant(Constant{Name: e.name + "." + name, Dims: []int{len(values)}, Integers: values})
}

func (e *Export) constant(c Constant) string {
	e.values = append(e.values, c)
	return c.Name
}

// parameters are the names of the first input and all tensors.
func (e *Export) parameters() []string { return append([]string{e.inputs[0]}, e.tensors...) }

// Operators is a network as ONNX operators, in order.
type Operators struct {
	Nodes     []Operator
	Constants []Constant
	// Output is the name of the value that the network gives.
	Output string
}

// Operators returns the operators that compute the network in evaluation from the value input and
// from tensors under their own names.
func (n *Network) Operators(input string) (*Operators, error) {
	all := new(Operators)
	values := make([]string, len(n.nodes))
	for i, node := range n.nodes {
		exporter, ok := node.Layer.(Exporter)
		if !ok {
			return nil, fmt.Errorf("layer %s: the layer %s has no ONNX form: it lacks the method Export",
				node.Name, node.Layer.Kind())
		}
		e := &Export{Call: node.call(0, false), name: node.Name}
		for _, from := range node.Inputs {
			value := input
			if from >= 0 {
				value = values[from]
			}
			e.inputs = append(e.inputs, value)
		}
		for _, tensor := range node.Tensors {
			e.tensors = append(e.tensors, tensor.Name)
		}
		var err error
		if values[i], err = exporter.Export(e); err != nil {
			return nil, fmt.Errorf("layer %s: %w", node.Name, err)
		}
		all.Nodes = append(all.Nodes, e.nodes...)
		all.Constants = append(all.Constants, e.values...)
	}
	all.Output = values[len(values)-1]
	return all, nil
}

// call describes the node's place in a graph.
func (n Node) call(batch int, training bool) Call {
	return Call{Batch: batch, Inputs: n.InputShapes, Output: n.Output, Tensors: n.Tensors,
		Training: training}
}
