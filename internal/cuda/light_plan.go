//go:build gpu && linux && amd64

package cuda

// #include "native_light.h"
import "C"

import (
	"errors"
	"fmt"
	"unsafe"
)

// epilogue is what a product of cuBLASLt's does beside: one of cublasLtEpilogue_t, as NVIDIA's
// "cuBLAS", chapter "Using the cuBLASLt API", describes them.
type epilogue C.cublasLtEpilogue_t

const (
	biased    = epilogue(C.CUBLASLT_EPILOGUE_BIAS)      // adds a bias to the rows of D
	rectified = epilogue(C.CUBLASLT_EPILOGUE_RELU_BIAS) // and applies ReLU to the sum
	summed    = epilogue(C.CUBLASLT_EPILOGUE_BGRADB)    // writes the sums of op(B)'s columns as one
)

// factor is a matrix that is multiplied, as the product takes it. It is packed, columns first, so
// that it has as many rows as lie behind one another.
type factor struct {
	form          form
	values        *buffer
	rows, columns int
}

// lightProduct is D = op(A)·op(B) with an epilogue, columns first, in float32
// (CUBLAS_COMPUTE_32F). op(A) is rows×inner, op(B) inner×columns and D rows×columns, packed.
type lightProduct struct {
	a, b          factor
	d             *buffer
	rows, columns int
	epilogue      epilogue
	// bias is of as many values as D has rows; or where the sums go, of as many as it has columns.
	bias *buffer
}

// lightPlan is how cuBLASLt computes a product.
type lightPlan struct {
	light   *lightBLAS
	product lightProduct
	matmul  C.struct_slipway_light_matmul
	number  int // of the algorithm
}

// newPlan asks cuBLASLt for algorithms, the fastest by its heuristics first, and takes the first
// that will do. Where there is none, or cuBLASLt fails, why says so and there is no plan; err is
// of the driver.
func (l *lightBLAS) newPlan(product lightProduct) (p *lightPlan, why, err error) {
	p = &lightPlan{light: l, product: product}
	p.matmul.handle = l.handle
	candidates, why := p.prepare()
	if why != nil {
		return nil, errors.Join(why, p.close()), nil
	}
	for i := range candidates {
		if why = p.take(&candidates[i]); why != nil {
			continue
		}
		if why, err = p.proven(); err != nil {
			return nil, nil, errors.Join(err, p.close())
		}
		if why == nil {
			return p, nil, nil
		}
	}
	why = fmt.Errorf("none of the %d algorithms that cuBLASLt offers will do: %w", len(candidates),
		why)
	return nil, errors.Join(why, p.close()), nil
}

// prepare describes the product, and returns the algorithms that cuBLASLt has for it.
func (p *lightPlan) prepare() ([]C.cublasLtMatmulHeuristicResult_t, error) {
	if err := p.product.aligned(); err != nil {
		return nil, err
	}
	if err := p.describe(); err != nil {
		return nil, err
	}
	if err := p.setBias(p.product.bias); err != nil {
		return nil, err
	}
	return p.candidates()
}

// aligned reports why cuBLASLt may not have the product. It is told how the matrices are aligned,
// and nobody tells it of the bias, of which some of its kernels read whole vectors.
func (p lightProduct) aligned() error {
	if p.bias.address%vectorBytes != 0 {
		return fmt.Errorf("the bias at %#x is not aligned to %d bytes", p.bias.address, vectorBytes)
	}
	return nil
}

// describe makes the descriptors. Those that were made when it fails, close frees.
func (p *lightPlan) describe() error {
	m := &p.matmul
	if err := lightCall("cublasLtMatmulDescCreate", C.cublasLtMatmulDescCreate(&m.operation,
		C.CUBLAS_COMPUTE_32F, C.CUDA_R_32F)); err != nil {
		return err
	}
	for _, matrix := range []struct {
		layout        *C.cublasLtMatrixLayout_t
		rows, columns int
	}{
		{&m.a, p.product.a.rows, p.product.a.columns},
		{&m.b, p.product.b.rows, p.product.b.columns},
		{&m.d, p.product.rows, p.product.columns},
	} {
		var layout C.cublasLtMatrixLayout_t
		if err := lightCall("cublasLtMatrixLayoutCreate", C.cublasLtMatrixLayoutCreate(&layout,
			C.CUDA_R_32F, C.uint64_t(matrix.rows), C.uint64_t(matrix.columns),
			C.int64_t(matrix.rows))); err != nil {
			return err
		}
		*matrix.layout = layout
	}
	return errors.Join(
		setOperation(p, C.CUBLASLT_MATMUL_DESC_TRANSA, p.product.a.form.operation()),
		setOperation(p, C.CUBLASLT_MATMUL_DESC_TRANSB, p.product.b.form.operation()),
		setOperation(p, C.CUBLASLT_MATMUL_DESC_EPILOGUE, p.product.epilogue))
}

// operation is cuBLAS's word for a form.
func (f form) operation() C.cublasOperation_t {
	if f == transposed {
		return C.CUBLAS_OP_T
	}
	return C.CUBLAS_OP_N
}

// setOperation gives the product's descriptor an attribute.
func setOperation[T any](p *lightPlan, name C.cublasLtMatmulDescAttributes_t, value T) error {
	return lightCall("cublasLtMatmulDescSetAttribute", C.cublasLtMatmulDescSetAttribute(
		p.matmul.operation, name, unsafe.Pointer(&value), C.size_t(unsafe.Sizeof(value))))
}

// setBias says where the bias is.
func (p *lightPlan) setBias(bias *buffer) error {
	return setOperation(p, C.CUBLASLT_MATMUL_DESC_BIAS_POINTER, uint64(bias.address))
}

// run puts the product into the lane's stream, with the lane's workspace.
func (p *lightPlan) run(on *lane) error {
	return p.runOn(on, p.product.a.values, p.product.b.values, p.product.d)
}

// runOn is run with matrices that lie elsewhere.
func (p *lightPlan) runOn(on *lane, a, b, d *buffer) error {
	return lightCall("cublasLtMatmul", C.cublasStatus_t(C.slipway_light_run(&p.matmul,
		C.CUdeviceptr(a.address), C.CUdeviceptr(b.address), C.CUdeviceptr(d.address),
		C.CUdeviceptr(on.workspace.address), C.size_t(on.workspace.bytes), stream(on.stream))))
}

// close destroys the descriptors.
func (p *lightPlan) close() error {
	m := &p.matmul
	var all []error
	for _, layout := range []C.cublasLtMatrixLayout_t{m.d, m.b, m.a} {
		if layout != nil {
			all = append(all, lightCall("cublasLtMatrixLayoutDestroy",
				C.cublasLtMatrixLayoutDestroy(layout)))
		}
	}
	if m.operation != nil {
		all = append(all, lightCall("cublasLtMatmulDescDestroy",
			C.cublasLtMatmulDescDestroy(m.operation)))
	}
	p.matmul = C.struct_slipway_light_matmul{}
	return errors.Join(all...)
}
