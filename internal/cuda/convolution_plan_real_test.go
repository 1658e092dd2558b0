//go:build gpu && linux && amd64

package cuda

import (
	"fmt"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"slipway/internal/ops"
)

// realConvolutions are convolutions of all kinds, but for their ReLU.
func realConvolutions() map[string]fusedConvolution {
	window := func(padding, strideHeight int) ops.Window {
		return ops.Window{PaddingHeight: padding, PaddingWidth: padding,
			StrideHeight: strideHeight, StrideWidth: 1}
	}
	same := func(x, w, y tensor.Shape, window ops.Window) fusedConvolution {
		return fusedConvolution{x: x, w: w, y: y, window: window, dilationHeight: 1, dilationWidth: 1}
	}
	dilated := same(tensor.Shape{8, 16, 12, 12}, tensor.Shape{24, 16, 3, 3},
		tensor.Shape{8, 24, 8, 10}, window(0, 1))
	dilated.dilationHeight = 2
	return map[string]fusedConvolution{
		"3x3": same(tensor.Shape{8, 16, 32, 32}, tensor.Shape{24, 16, 3, 3},
			tensor.Shape{8, 24, 32, 32}, window(1, 1)),
		"5x5 of one channel": same(tensor.Shape{32, 1, 28, 28}, tensor.Shape{32, 1, 5, 5},
			tensor.Shape{32, 32, 24, 24}, window(0, 1)),
		"strides": same(tensor.Shape{7, 3, 9, 11}, tensor.Shape{5, 3, 3, 3},
			tensor.Shape{7, 5, 5, 11}, window(1, 2)),
		"groups": same(tensor.Shape{8, 16, 12, 12}, tensor.Shape{24, 8, 3, 3},
			tensor.Shape{8, 24, 12, 12}, window(1, 1)),
		"dilation": dilated,
	}
}

// propertiesOf describes a device to cuDNN, in the JSON of its release 9.28, whose form is not
// documented: an H200's data sheet, with another compute capability.
func propertiesOf(capability int) string {
	return fmt.Sprintf(`{"maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64],
"regsPerBlock":65536,"multiProcessorCount":132,"smCountOrigin":0,"warpSize":32,
"maxSharedMemoryPerBlock":49152,"maxSharedMemoryPerBlockOptin":232448,
"reservedSharedMemoryPerBlock":1024,"oversizedSharedMemoryPerBlock":232448,
"maxRegistersPerSM":65536,"maxCtasPerSM":32,"maxThreadsPerBlock":1024,"maxThreadsPerSM":2048,
"pciDeviceId":0,"isTccDriver":0,"supportCoopLaunch":1,"totalGlobalMem":150000000000,
"smClockRateKHz":1980000,"memClockRateKHz":3201000,"memoryBusWidth":6144,"l2CacheSize":62914560,
"cudaDeviceId":0,"deviceVer":%d,"driverVer":13000,"deviceName":"described"}`, capability)
}

// The real cuDNN takes the graph's descriptors and, of a device that is only described to it, has a
// plan for each, without a device: what is left for one is to make the handle, and to run.
func TestRealGraphAPI(t *testing.T) {
	needRealLibraries(t)
	if path, _ := libraryDriver.load(); path == "" {
		_, err := newConvolutionPlan(planTarget{}, realConvolutions()["3x3"])
		const want = "x: cudnnBackendFinalize: CUDNN_STATUS_SUBLIBRARY_LOADING_FAILED (1008)"
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without a driver: %v, want %s", err, want)
		}
		t.Log("the rest needs a file of the driver's: make gpu-test-libraries runs it again with one")
		return
	}
	for name, f := range realConvolutions() {
		for _, f.products = range []arithmetic{float32s, tf32} {
			for _, f.rectifier = range []bool{false, true} {
				testRealPlans(t, name, f)
			}
		}
	}
}

// testRealPlans makes a convolution's plan for each described device, and says which engine it has.
func testRealPlans(t *testing.T, name string, f fusedConvolution) {
	t.Helper()
	var engines []string
	for _, capability := range []int{750, 800, 900, 1000, 1200} {
		plan, err := newConvolutionPlan(planTarget{properties: propertiesOf(capability)}, f)
		if err != nil {
			engines = append(engines, fmt.Sprintf("%d: none", capability))
			if f.products == tf32 {
				continue // not every device and convolution has such an engine: the legacy call does
			}
			t.Errorf("%s in %v, ReLU %t, capability %d: %v", name, f.products, f.rectifier, capability, err)
			continue
		}
		engines = append(engines, fmt.Sprintf("%d: engine %d, %d bytes",
			capability, plan.engine, plan.workspace))
		if err := plan.close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%s in %v, ReLU %t: %s", name, f.products, f.rectifier, strings.Join(engines, "; "))
}

// What the simulator refuses of a graph, the real cuDNN refuses, too.
func TestRealGraphAPIRefuses(t *testing.T) {
	needRealLibraries(t)
	if path, _ := libraryDriver.load(); path == "" {
		t.Skip("needs NVIDIA's driver, or the folder of scripts/build-cuda-nodriver, to be found")
	}
	testGraphsThatAreRefused(t)
}
