//go:build gpu && linux && amd64

package cuda

// #include <cudnn.h>
import "C"

import (
	"errors"
	"fmt"
	"unsafe"
)

// planTarget is what a plan is made for: a handle, or a device that is described by its properties
// and need not be there.
type planTarget struct {
	handle     unsafe.Pointer
	properties string // cuDNN's own JSON
}

// convolutionPlan is how cuDNN computes a fused convolution.
type convolutionPlan struct {
	handle    unsafe.Pointer
	kept      []*descriptors
	execution descriptor
	pack      descriptor
	engine    int64
	workspace int64 // bytes
}

// newConvolutionPlan asks cuDNN for engines, the fastest by its heuristics first, and takes the
// first that is deterministic, computes in the arithmetic of the products and has a plan. The error
// says why there is none.
func newConvolutionPlan(on planTarget, f fusedConvolution) (*convolutionPlan, error) {
	p := &convolutionPlan{handle: on.handle}
	graph := p.keep()
	of := f.graph(graph, on.handle)
	device := on.device(graph)
	if graph.err != nil {
		return nil, errors.Join(graph.err, p.close())
	}
	offered := 0
	var refused error // of the last engine that would do
	for _, mode := range []C.cudnnBackendHeurMode_t{C.CUDNN_HEUR_MODE_A, C.CUDNN_HEUR_MODE_FALLBACK} {
		heuristics := p.keep()
		configurations := heuristics.configurations(of, mode, device)
		offered += len(configurations)
		for _, configuration := range configurations {
			engine := heuristics.engine(configuration)
			if heuristics.err != nil {
				break
			}
			if !acceptable(engine.notes, f) {
				continue
			}
			if refused = p.take(configuration, device); refused == nil {
				p.engine = engine.number
				return p, nil
			}
		}
		if heuristics.err != nil {
			refused = heuristics.err
		}
	}
	err := fmt.Errorf("none of the %d engines that cuDNN offers is deterministic in %v", offered,
		f.products)
	if refused != nil {
		err = fmt.Errorf("%w, or has a plan: %w", err, refused)
	}
	return nil, errors.Join(err, p.close())
}

// keep returns descriptors that live as long as the plan.
func (p *convolutionPlan) keep() *descriptors {
	d := new(descriptors)
	p.kept = append(p.kept, d)
	return d
}

// device describes the target's device, if its properties are given.
func (on planTarget) device(d *descriptors) descriptor {
	if on.properties == "" {
		return nil
	}
	const what = "the device"
	made := d.create(what, C.CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR)
	text := append([]byte(on.properties), 0)
	set(d, what, made, C.CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, C.CUDNN_TYPE_CHAR, text...)
	d.finalize(what, made)
	return made
}

// configurations returns cuDNN's for a graph, the fastest first as its heuristics know it.
func (d *descriptors) configurations(graph descriptor, mode C.cudnnBackendHeurMode_t,
	device descriptor) []descriptor {
	const what = "the heuristics"
	made := d.create(what, C.CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR)
	refer(d, what, made, C.CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
	set(d, what, made, C.CUDNN_ATTR_ENGINEHEUR_MODE, C.CUDNN_TYPE_HEUR_MODE, mode)
	if device != nil {
		refer(d, what, made, C.CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, device)
	}
	d.finalize(what, made)
	room := make([]descriptor, get(d, what, made, C.CUDNN_ATTR_ENGINEHEUR_RESULTS,
		C.CUDNN_TYPE_BACKEND_DESCRIPTOR, []descriptor(nil)))
	for i := range room {
		room[i] = d.create(what, C.CUDNN_BACKEND_ENGINECFG_DESCRIPTOR)
	}
	count := get(d, what, made, C.CUDNN_ATTR_ENGINEHEUR_RESULTS, C.CUDNN_TYPE_BACKEND_DESCRIPTOR, room)
	if d.err != nil {
		return nil
	}
	return room[:min(count, len(room))] // fewer are written than were counted
}

// engine is one of cuDNN's, by its number, with what it notes of its arithmetic.
type engine struct {
	number int64
	notes  []C.cudnnBackendNumericalNote_t
}

func (d *descriptors) engine(configuration descriptor) engine {
	const what = "an engine"
	room := []descriptor{d.create(what, C.CUDNN_BACKEND_ENGINE_DESCRIPTOR)}
	get(d, what, configuration, C.CUDNN_ATTR_ENGINECFG_ENGINE, C.CUDNN_TYPE_BACKEND_DESCRIPTOR, room)
	number, notes := make([]int64, 1), make([]C.cudnnBackendNumericalNote_t, 32)
	get(d, what, room[0], C.CUDNN_ATTR_ENGINE_GLOBAL_INDEX, C.CUDNN_TYPE_INT64, number)
	count := get(d, what, room[0], C.CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, C.CUDNN_TYPE_NUMERICAL_NOTE,
		notes)
	return engine{number[0], notes[:min(count, len(notes))]}
}

// acceptable reports whether a run can be repeated bit for bit with an engine, in the arithmetic of
// its products: it notes nothing else of itself, neither sums in any order nor inputs that are
// converted down to less than TF32. In float32 it has no tensor cores, which would round to TF32,
// and in TF32 it has them, as the legacy call has that takes its place otherwise.
// An engine that computes a ReLU has to note that it propagates NaN: one that does not may hide, as
// zeros, weights that are not finite any more. cuDNN offers both kinds alike, whatever the
// descriptor of the ReLU asks for.
func acceptable(notes []C.cudnnBackendNumericalNote_t, f fusedConvolution) bool {
	strict, tensorCores := false, false
	for _, note := range notes {
		switch note {
		case C.CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP:
			strict = true
		case C.CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
			tensorCores = true
		default:
			return false
		}
	}
	return (strict || !f.rectifier) && tensorCores == (f.products == tf32)
}

// take makes the plan of a configuration.
func (p *convolutionPlan) take(configuration, device descriptor) error {
	const what = "the plan"
	d := new(descriptors)
	made := d.create(what, C.CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR)
	if p.handle != nil {
		set(d, what, made, C.CUDNN_ATTR_EXECUTION_PLAN_HANDLE, C.CUDNN_TYPE_HANDLE, p.handle)
	}
	refer(d, what, made, C.CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration)
	if device != nil {
		refer(d, what, made, C.CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, device)
	}
	d.finalize(what, made)
	bytes := make([]int64, 1)
	get(d, what, made, C.CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, C.CUDNN_TYPE_INT64, bytes)
	if d.err != nil {
		return errors.Join(d.err, d.destroy())
	}
	p.kept = append(p.kept, d)
	p.execution, p.workspace = made, bytes[0]
	return nil
}

// bind says where the tensors and the workspace are.
func (p *convolutionPlan) bind(x, w, bias, y, workspace *buffer) error {
	const what = "the plan's tensors"
	d := p.keep()
	p.pack = d.create(what, C.CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR)
	set(d, what, p.pack, C.CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, C.CUDNN_TYPE_INT64,
		identityX, identityW, identityBias, identityY)
	set(d, what, p.pack, C.CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, C.CUDNN_TYPE_VOID_PTR,
		x.address, w.address, bias.address, y.address)
	if p.workspace > 0 {
		set(d, what, p.pack, C.CUDNN_ATTR_VARIANT_PACK_WORKSPACE, C.CUDNN_TYPE_VOID_PTR,
			workspace.address)
	}
	d.finalize(what, p.pack)
	return d.err
}

func (p *convolutionPlan) run() error { return execute(p.handle, p.execution, p.pack) }

// close destroys the plan, and what it was made of behind it.
func (p *convolutionPlan) close() error {
	var all []error
	for i := len(p.kept) - 1; i >= 0; i-- {
		all = append(all, p.kept[i].destroy())
	}
	p.kept = nil
	return errors.Join(all...)
}
