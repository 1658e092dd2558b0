//go:build gpu && linux && amd64

package cuda

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"gorgonia.org/cu"
	cublas "gorgonia.org/cu/blas"
	cudnn "gorgonia.org/cu/dnn"

	"slipway/internal/cuda/simulator"
)

var entryPattern = regexp.MustCompile(`\.entry (\w+)\(`)

// The C handles are read as the first words of these types.
func TestHandlesAreTheFirstFields(t *testing.T) {
	for _, test := range []struct {
		of    any
		field string
	}{
		{cudnn.Context{}, "internal"}, {cudnn.TensorDescriptor{}, "internal"}, {cudnn.Filter{}, "internal"},
		{cudnn.Convolution{}, "internal"}, {cublas.Standard{}, "h"}, {cu.Stream{}, "s"}, {cu.Function{}, "fn"},
	} {
		first := reflect.TypeOf(test.of).Field(0)
		if first.Name != test.field || first.Offset != 0 || first.Type.Size() != reflect.TypeOf(uintptr(0)).Size() {
			t.Errorf("%T begins with %s %v of %d bytes, want the pointer %s", test.of, first.Name, first.Type, first.Type.Size(), test.field)
		}
	}
}

// realLibraries names NVIDIA's own cuDNN and cuBLAS, which scripts/setup-cuda
// --libraries brings, for the tests that need no GPU but these.
const realLibraries = "SLIPWAY_TEST_REAL_CUDA"

// needRealLibraries skips where the libraries are not NVIDIA's.
func needRealLibraries(t *testing.T) {
	t.Helper()
	if simulated != nil || os.Getenv(realLibraries) == "" {
		t.Skipf("needs NVIDIA's cuDNN and cuBLAS: make gpu-test-libraries sets %s after scripts/setup-cuda --libraries", realLibraries)
	}
}

// Every entry point of the libraries that this program may call is in them.
func TestRealLibrariesHaveEverySymbol(t *testing.T) {
	needRealLibraries(t)
	found, driver := map[library]int{}, 0
	for _, s := range symbols() {
		switch {
		case s.library == libraryDriver:
			driver++
		case !s.found:
			if gone[s.name] {
				t.Logf("%s is gone from this release; only package cu names it", s.name)
				continue
			}
			t.Errorf("%s is not in the library", s.name)
		default:
			found[s.library]++
		}
	}
	for _, want := range []struct {
		library library
		least   int
	}{{libraryCUDNN, 50}, {libraryCUBLAS, 50}, {libraryCUBLASLT, 15}} {
		path, reason := want.library.load()
		t.Logf("%s: %d entry points found %s", path, found[want.library], reason)
		if found[want.library] < want.least {
			t.Errorf("library %d: only %d entry points", want.library, found[want.library])
		}
	}
	if dnnRelease() != release() {
		t.Errorf("cuDNN is built with CUDA %d, want %d", dnnRelease(), release())
	}
	t.Logf("%d entry points of the driver were not looked for: there is none", driver)
}

// gone lists what package cu names, its libraries no longer have, and training does
// not call.
var gone = map[string]bool{}

// A convolution keeps its math type in the real cuDNN: its descriptors need no GPU.
func TestRealConvolutionIsFMA(t *testing.T) {
	needRealLibraries(t)
	conv, err := cudnn.NewConvolution(cudnn.FmaMath, 1, []int{1, 2}, []int{1, 1}, []int{1, 1}, cudnn.CrossCorrelation, cudnn.Float)
	if err != nil {
		t.Fatal(called("cudnnSetConvolution2dDescriptor", err))
	}
	kept, err := isFMA(conv)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("cuDNN %s: set before the rest of the descriptor, the math type is kept: %t", dnnVersion(), kept)
	for _, in := range []arithmetic{tf32, float32s} {
		if err := setMath(conv, in); err != nil {
			t.Fatal(err)
		}
		if fma, err := isFMA(conv); err != nil || fma != (in == float32s) {
			t.Errorf("set to %v, FMA alone is %t, %v", in, fma, err)
		}
	}
}

// With the real libraries and no driver, the error is the documented one, and
// nothing ends the process.
func TestRealLibrariesWithoutADriver(t *testing.T) {
	needRealLibraries(t)
	if path, _ := libraryDriver.load(); path != "" {
		t.Skipf("there is a driver: %s", path)
	}
	// cudnnCreate loads kernels and asks for a device; cublasCreate asks for a
	// device. Their answers have names of their own.
	if err := guarded(func() error { cudnn.NewContext(); return nil }); err == nil || !strings.Contains(err.Error(), "CUDNN_STATUS_") {
		t.Errorf("cudnnCreate: %v, want a status of cuDNN's", err)
	} else {
		t.Logf("cudnnCreate: %v", err)
	}
	blas := new(cublas.Standard)
	if err := called("cublasCreate", blas.Init()); err == nil {
		t.Error("cublasCreate: succeeded without a driver")
	} else {
		t.Log(err)
	}
	_, err := Open()
	if missing, ok := err.(*MissingError); !ok || missing.Piece != PieceDriver || !strings.Contains(err.Error(), "libcuda.so.1") || !strings.Contains(err.Error(), "-device cpu") {
		t.Errorf("Open: %v, want the driver to be missing, with the file's name and a remedy", err)
	} else {
		t.Log(err)
	}
}

// An entry point that the loaded library lacks is named: what it answers in its place
// only says that something was not initialised.
func TestAnEntryPointThatIsLackingIsNamed(t *testing.T) {
	needSimulator(t)
	g := openDevice(t)
	for _, test := range []struct {
		call func() error
		want string
	}{
		{func() error { _, _, err := cu.MemInfo(); return called("cuMemGetInfo", err) }, "(3); its library lacks cuMemGetInfo_v2"},
		{func() error {
			_, err := cudnn.NewOp(cudnn.TensorAdd, cudnn.Float, cudnn.PropagateNan)
			return called("cudnnCreateOpTensorDescriptor", err)
		}, "CUDNN_STATUS_NOT_INITIALIZED (1001); its library lacks cudnnCreateOpTensorDescriptor"},
		{func() error {
			blas := new(cublas.Standard) // keeps its first error
			blas.Sscal(1, 1, []float32{1}, 1)
			return called("cublasSscal", blas.Err())
		}, "(1); its library lacks cublasSscal_v2"},
	} {
		if err := g.thread.do(test.call); err == nil || !strings.HasSuffix(err.Error(), test.want) {
			t.Errorf("%v, want %q at the end", err, test.want)
		}
	}
}

// opensChild has the test binary open the device, and nothing more, in a process whose
// libraries are others.
const opensChild = "SLIPWAY_TEST_OPENS"

// A file that is not the library that it was named as is said to lack what was asked
// of it.
func TestAFileThatIsNotTheLibraryIsNamed(t *testing.T) {
	if os.Getenv(opensChild) != "" {
		_, err := Open()
		fmt.Println(err)
		return
	}
	needSimulator(t)
	for variable, want := range map[string]string{
		"SLIPWAY_CUDA_DRIVER": "libm.so.6) does not say which CUDA release it serves; install NVIDIA's driver",
		"SLIPWAY_CUDNN":       "libm.so.6 lacks cudnnGetVersion cudnnGetCudartVersion; install cuDNN 9",
		"SLIPWAY_CUBLAS":      "cublasCreate: unknown error (1); its library lacks cublasCreate_v2",
	} {
		process := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		process.Env = append(os.Environ(), simulator.Variable+"=", variable+"=libm.so.6", opensChild+"=1")
		out, err := process.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if !strings.Contains(string(out), want) {
			t.Errorf("%s: it lacks %q: %s", variable, want, out)
		}
	}
}

// NVIDIA's libraries are found among Python's packages, where PyTorch brings them, if they are of
// the CUDA release that this build is for; what the loader finds comes first.
func TestLibrariesAmongPythonsPackages(t *testing.T) {
	if os.Getenv(opensChild) != "" {
		found := Inspect()
		fmt.Printf("cuDNN %s cuBLAS %s missing %v\n", found.CUDNN, found.CUBLAS, found.Missing)
		return
	}
	needSimulator(t)
	library, err := os.ReadFile(os.Getenv(simulator.Variable))
	if err != nil {
		t.Fatal(err)
	}
	environment := t.TempDir()
	packages := filepath.Join(environment, "lib", "python3.99", "site-packages", "nvidia")
	older := filepath.Join(environment, "lib", "python3.98", "site-packages", "nvidia")
	for _, name := range []string{
		packages + "/cu13/lib/libcublas.so.13", packages + "/cu13/lib/libcublasLt.so.13", packages + "/cudnn/lib/libcudnn.so.9",
		older + "/cublas/lib/libcublasLt.so.12", older + "/cudnn/lib/libcudnn.so.9",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, library, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		environment []string
		found       bool
	}{
		{nil, false},
		{[]string{"VIRTUAL_ENV=" + environment}, true},
		{[]string{"CONDA_PREFIX=" + environment}, true},
		{[]string{"PYTHONUSERBASE=" + environment}, true},
		{[]string{"VIRTUAL_ENV=."}, false},
	} {
		process := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		process.Dir = environment
		process.Env = append(os.Environ(), simulator.Variable+"=", "SLIPWAY_CUDNN=", "SLIPWAY_CUBLAS=", "HOME=/nowhere",
			"VIRTUAL_ENV=", "CONDA_PREFIX=", "PYTHONUSERBASE=", opensChild+"=1")
		process.Env = append(process.Env, test.environment...)
		out, err := process.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if !test.found && !strings.Contains(string(out), "missing no") && !strings.Contains(string(out), "libcudnn.so.9: cannot open") {
			t.Skipf("the loader finds libraries of the machine, which come first: %s", out)
		}
		for _, file := range []string{"/cudnn/lib/libcudnn.so.9", "/cu13/lib/libcublas.so.13"} {
			if found := strings.Contains(string(out), packages+file); found != test.found {
				t.Errorf("%v: %s is found: %t, want %t\n%s", test.environment, file, found, test.found, out)
			}
		}
		if strings.Contains(string(out), older) {
			t.Errorf("%v: a library for an older release is found: %s", test.environment, out)
		}
	}
}

// TestPackageErrorsHaveNamesAndNumbers covers the three kinds of package cu's errors.
func TestPackageErrorsHaveNamesAndNumbers(t *testing.T) {
	needSimulator(t)
	for _, test := range []struct {
		err  error
		want string
	}{
		{cu.OutOfMemory, "call: CUDA_ERROR_OUT_OF_MEMORY (2)"},
		{cudnn.NotSupported, "call: CUDNN_STATUS_NOT_SUPPORTED (3000)"},
		{cublas.ExecFailed, "call: CUBLAS_STATUS_EXECUTION_FAILED (13)"},
	} {
		if got := called("call", test.err); got == nil || got.Error() != test.want {
			t.Errorf("%v, want %s", got, test.want)
		}
	}
	if err := called("call", nil); err != nil {
		t.Errorf("%v of no error", err)
	}
}
