//go:build gpu && linux && amd64

package cuda

import (
	"errors"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"slipway/train"
)

// What fails while a machine in bf16 is made or runs is told by its call, and leaves nothing behind.
func TestFaultsInBF16(t *testing.T) {
	needSimulator(t)
	graph := plainGraph(t, everyProduct(t, 20), train.Config{Seed: 4}, 5)
	for call, told := range map[string]string{
		"cuModuleLoadData":                 "kernels for bf16: cuModuleLoadData",
		"cuModuleGetFunction":              "kernels for bf16: cuModuleGetFunction",
		"cudnnSetTensor4dDescriptor":       "cudnnSetTensor4dDescriptor",
		"cudnnSetFilter4dDescriptor":       "cudnnSetFilter4dDescriptor",
		"cudnnSetConvolution2dDescriptor":  "cudnnSetConvolution2dDescriptor",
		"cudnnSetConvolutionMathType":      "cudnnSetConvolution2dDescriptor",
		"cudnnSetConvolutionGroupCount":    "cudnnSetConvolution2dDescriptor",
		"cudnnCreateTensorDescriptor":      "cudnnSetTensor4dDescriptor",
		"cudnnCreateFilterDescriptor":      "cudnnSetFilter4dDescriptor",
		"cudnnCreateConvolutionDescriptor": "cudnnSetConvolution2dDescriptor",
		"cudnnGetConvolutionForwardWorkspaceSize": "a convolution in bf16: " +
			"cudnnGetConvolutionForwardWorkspaceSize: CUDNN_STATUS_NOT_SUPPORTED",
		"cudnnConvolutionForward": "cudnnConvolutionForward",
		"cublasSetMathMode":       "cublasGemmEx",
		"cublasGemmEx":            "cublasGemmEx",
	} {
		t.Run(call, func(t *testing.T) {
			g := openForBF16(t)
			simulated.Fail(call, 1, 3000, false)
			err := g.thread.do(func() error {
				machine, err := newMachine(g, machineOptions{Products: bf16, Images: graph.Input,
					Wanted: append(gorgonia.Nodes{graph.Total}, graph.Gradients...)})
				if err != nil {
					return err
				}
				err = errors.Join(runAll(g, machine.launches), waitFor(g.stream))
				return errors.Join(err, machine.close())
			})
			if err == nil || !strings.Contains(err.Error(), told) {
				t.Errorf("%v, want %s", err, told)
			}
		})
	}
}
