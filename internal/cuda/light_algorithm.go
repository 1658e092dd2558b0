//go:build gpu && linux && amd64

package cuda

// #include "native_light.h"
import "C"

import (
	"errors"
	"fmt"
	"math"
	"unsafe"
)

// mostCandidates is how many algorithms cuBLASLt is asked for.
const mostCandidates = 8

// candidates asks cuBLASLt for algorithms, the fastest first as its heuristics know it. They may
// have a lane's workspace, read the matrices as these are aligned, and not divide sums, whose parts
// would be reduced by a scheme of which nothing says that its order is fixed.
func (p *lightPlan) candidates() (all []C.cublasLtMatmulHeuristicResult_t, err error) {
	var preference C.cublasLtMatmulPreference_t
	if err := lightCall("cublasLtMatmulPreferenceCreate",
		C.cublasLtMatmulPreferenceCreate(&preference)); err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, lightCall("cublasLtMatmulPreferenceDestroy",
			C.cublasLtMatmulPreferenceDestroy(preference)))
	}()
	if err := errors.Join(
		prefer(preference, C.CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64(blasWorkspace)),
		prefer(preference, C.CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
			uint32(C.CUBLASLT_REDUCTION_SCHEME_NONE)),
		prefer(preference, C.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, p.product.a.values.alignment()),
		prefer(preference, C.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, p.product.b.values.alignment()),
		prefer(preference, C.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, p.product.d.alignment()),
		prefer(preference, C.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, p.product.d.alignment()),
	); err != nil {
		return nil, err
	}
	all = make([]C.cublasLtMatmulHeuristicResult_t, mostCandidates)
	var count C.int
	m := &p.matmul
	if err := lightCall("cublasLtMatmulAlgoGetHeuristic", C.cublasLtMatmulAlgoGetHeuristic(m.handle,
		m.operation, m.a, m.b, m.d, m.d, preference, mostCandidates, &all[0], &count)); err != nil {
		return nil, err
	}
	if count == 0 {
		return nil, errors.New("cublasLtMatmulAlgoGetHeuristic has found none")
	}
	return all[:count], nil
}

func prefer[T any](preference C.cublasLtMatmulPreference_t,
	name C.cublasLtMatmulPreferenceAttributes_t, value T) error {
	return lightCall("cublasLtMatmulPreferenceSetAttribute", C.cublasLtMatmulPreferenceSetAttribute(
		preference, name, unsafe.Pointer(&value), C.size_t(unsafe.Sizeof(value))))
}

// alignment is the power of two that the address is a multiple of, up to what cuBLASLt takes for
// granted.
func (b *buffer) alignment() uint32 {
	const most = 256
	return uint32(min(most, b.address&-b.address))
}

// take has the plan computed by an algorithm. The error says why it will not do.
func (p *lightPlan) take(candidate *C.cublasLtMatmulHeuristicResult_t) error {
	if err := lightCall("cublasLtMatmulAlgoGetHeuristic", candidate.state); err != nil {
		return err
	}
	p.matmul.algorithm = candidate.algo
	var number int32
	var written C.size_t
	if err := lightCall("cublasLtMatmulAlgoConfigGetAttribute",
		C.cublasLtMatmulAlgoConfigGetAttribute(&p.matmul.algorithm, C.CUBLASLT_ALGO_CONFIG_ID,
			unsafe.Pointer(&number), C.size_t(unsafe.Sizeof(number)), &written)); err != nil {
		return err
	}
	p.number = int(number)
	return p.acceptable()
}

// acceptable reports why the algorithm will not do: whatever has tensor cores multiplies less than
// float32, or numbers that stand for one.
func (p *lightPlan) acceptable() error {
	var flags C.uint64_t
	var written C.size_t
	if err := lightCall("cublasLtMatmulAlgoCapGetAttribute", C.cublasLtMatmulAlgoCapGetAttribute(
		&p.matmul.algorithm, C.CUBLASLT_ALGO_CAP_NUMERICAL_IMPL_FLAGS, unsafe.Pointer(&flags),
		C.size_t(unsafe.Sizeof(flags)), &written)); err != nil {
		return err
	}
	if flags&C.CUBLASLT_NUMERICAL_IMPL_FLAGS_OP_TYPE_MASK != C.CUBLASLT_NUMERICAL_IMPL_FLAGS_FMA {
		return fmt.Errorf("algorithm %d does not compute in float32", p.number)
	}
	return nil
}

// proven reports why a plan with a ReLU will not do: it makes a 0 of a NaN, and a run whose weights
// are not finite any more would go on without a word. NVIDIA documents max(x, 0), which does not
// say, and libraries are known that do. So the plan computes once, with zeros and a bias that is
// not a number, of which each value of its output has to tell.
func (p *lightPlan) proven() (why, err error) {
	if p.product.epilogue != rectified {
		return nil, nil
	}
	values, why, err := p.triedWith(float32(math.NaN()))
	if why != nil || err != nil {
		return why, err
	}
	for _, v := range values {
		if v == v {
			return fmt.Errorf("the ReLU of algorithm %d makes %v of NaN", p.number, v), nil
		}
	}
	return nil, nil
}

// triedWith returns what the plan makes of zeros and of a bias that has that value everywhere, in
// the stream of the steps. It is to be called before anything is captured.
func (p *lightPlan) triedWith(bias float32) (values []float32, why, err error) {
	g := p.light.gpu
	scratch := pool{gpu: g}
	defer func() { err = errors.Join(err, scratch.free()) }()
	var matrices [3]*buffer
	for i, n := range []int{p.product.a.size(), p.product.b.size(), p.product.size()} {
		if matrices[i], err = scratch.allocateFloats("a product that is tried", n); err != nil {
			return nil, nil, err
		}
		if err := zeroAsync(matrices[i].address, int64(n)*4, g.stream); err != nil {
			return nil, nil, err
		}
	}
	of := make([]float32, p.product.rows)
	for i := range of {
		of[i] = bias
	}
	where, err := scratch.allocateFloats("a bias that is tried", len(of))
	if err != nil {
		return nil, nil, err
	}
	if err := upload(g, where, of); err != nil {
		return nil, nil, err
	}
	why = errors.Join(p.setBias(where), p.runOn(&g.lane, matrices[0], matrices[1], matrices[2]),
		p.setBias(p.product.bias))
	if why != nil {
		return nil, why, g.wait()
	}
	values = make([]float32, p.product.size())
	return values, nil, download(g, values, matrices[2])
}

// size is how many values a matrix has.
func (f factor) size() int { return f.rows * f.columns }

func (p lightProduct) size() int { return p.rows * p.columns }
