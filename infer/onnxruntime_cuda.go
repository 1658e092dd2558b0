//go:build cgo

package infer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	ort "github.com/yalue/onnxruntime_go"

	"slipway/internal/display"
	"slipway/internal/onnxgraph"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// convolutionSearch has cuDNN's heuristics name the algorithm of each convolution. onnxruntime's
// default measures them all and takes the fastest, which may be another one in the next run, and
// rounds otherwise.
const convolutionSearch = "HEURISTIC"

// newCUDASession makes a session that computes on CUDA: all nodes of the model, but those that tell
// of sizes alone, which onnxruntime itself leaves to the CPU. more, if not nil, adds to its
// options. What is to be told of it comes back beside it.
func (r *onnxRuntime) newCUDASession(ctx context.Context, from runnable, outputs []string,
	model *onnx.Model, more func(*ort.SessionOptions) error) (*session, []string, error) {
	made, err := r.newSession(ctx, from, outputs, func(options *ort.SessionOptions) error {
		if more != nil {
			if err := more(options); err != nil {
				return err
			}
		}
		return r.appendCUDA(options)
	})
	if err != nil {
		return nil, nil, err
	}
	onCPU, err := sizesOnCPU(made, r.library, model)
	if err != nil {
		return nil, nil, errors.Join(err, made.Close())
	}
	tf32 := "off"
	if r.tf32 {
		tf32 = "on"
	}
	notes := []string{fmt.Sprintf("on CUDA cuDNN's heuristics name the algorithm of each convolution "+
		"(cudnn_conv_algo_search %s), so that runs have the same ones; TF32 is %s", convolutionSearch,
		tf32)}
	if len(onCPU) > 0 {
		notes = append(notes, fmt.Sprintf("onnxruntime computes %s on the CPU, of sizes and of no "+
			"picture; all else on CUDA", display.Printable(strings.Join(onCPU, ", "))))
	}
	return made, notes, nil
}

// appendCUDA adds the CUDA provider. Even when it returns nil, making the
// session can fail for want of a GPU.
func (r *onnxRuntime) appendCUDA(options *ort.SessionOptions) error {
	cuda, err := ort.NewCUDAProviderOptions()
	if err != nil {
		return fmt.Errorf("CUDA options: %w", err)
	}
	defer cuda.Destroy()
	tf32 := "0"
	if r.tf32 {
		tf32 = "1"
	}
	if err := cuda.Update(map[string]string{
		"device_id": "0", "use_tf32": tf32, "cudnn_conv_algo_search": convolutionSearch,
	}); err != nil {
		return fmt.Errorf("CUDA options: %w", err)
	}
	if err := options.AppendExecutionProviderCUDA(cuda); err != nil {
		return fmt.Errorf("CUDA provider: %w", err)
	}
	if err := options.AddSessionConfigEntry(placementEntry, "1"); err != nil {
		return fmt.Errorf("CUDA provider: %w", err)
	}
	return nil
}

// placed is a node of a session's graph, and the execution provider that it was given to.
type placed struct{ provider, domain, operator, name string }

func (p placed) String() string {
	if p.name == "" {
		return p.operator
	}
	return fmt.Sprintf("%s %q", p.operator, p.name)
}

// onTheCPU returns those of the nodes that the CPU has, each by its operator once, if none of them
// computes with a picture. A graph that would run on the CPU in part, and say CUDA, is an error.
func onTheCPU(nodes []placed, model *onnx.Model) (operators []string, err error) {
	var computing []placed
	alone := newSizeNodes(model.Proto.GetGraph())
	for _, node := range nodes {
		switch {
		case node.provider != cpuProvider:
		case !alone.has(node):
			computing = append(computing, node)
		case !slices.Contains(operators, node.operator):
			operators = append(operators, node.operator)
		}
	}
	if len(computing) > 0 {
		return nil, fmt.Errorf("onnxruntime would compute %d of the model's %d nodes on the CPU, %s the "+
			"first: it has no form of it on CUDA", len(computing), len(nodes), computing[0])
	}
	return operators, nil
}

// sizeNodes says of a graph's nodes, by what a session calls them, whether they compute from the
// sizes of the inputs and from constants alone.
type sizeNodes map[placed]bool

func newSizeNodes(graph *onnxpb.GraphProto) sizeNodes {
	pictures := make(map[string]bool) // the values that depend on more than sizes
	constants := make(map[string]bool)
	for _, tensor := range graph.GetInitializer() {
		constants[tensor.GetName()] = true
	}
	for _, input := range graph.GetInput() {
		pictures[input.GetName()] = !constants[input.GetName()]
	}
	nodes := make(sizeNodes)
	nodes.add(graph, pictures)
	return nodes
}

// add adds the nodes of a graph, and of the graphs within them, of which each has names of its own
// for its values.
func (s sizeNodes) add(graph *onnxpb.GraphProto, pictures map[string]bool) {
	for _, node := range graph.GetNode() {
		taken := make(map[string]bool)
		onnxgraph.Take(node, taken)
		takesPictures := false
		for name := range taken {
			takesPictures = takesPictures || pictures[name]
		}
		for _, inner := range onnxgraph.Subgraphs(node) {
			for _, input := range inner.GetInput() {
				pictures[input.GetName()] = takesPictures
			}
			s.add(inner, pictures)
		}
		domain := onnxgraph.Domain(node.GetDomain())
		tells := domain == "" && slices.Contains([]string{"Shape", "Size"}, node.GetOpType())
		for _, output := range node.GetOutput() {
			pictures[output] = takesPictures && !tells
		}
		// Of several of one name, all have to be such.
		key := placed{domain: domain, operator: node.GetOpType(), name: node.GetName()}
		known, seen := s[key]
		s[key] = (known || !seen) && (tells || !takesPictures)
	}
}

// has reports whether a node is one, which none is that the model does not have by that name.
func (s sizeNodes) has(node placed) bool {
	return s[placed{domain: onnxgraph.Domain(node.domain), operator: node.operator, name: node.name}]
}
