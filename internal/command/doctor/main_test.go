package doctor

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/dataset"
	"slipway/internal/cuda"
	"slipway/internal/datasettest"
)

func runCommand(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

// examined runs doctor -json and returns its checks by name.
func examined(t *testing.T) (code int, r report, byName map[string]check) {
	t.Helper()
	code, stdout, stderr := runCommand(t, "-json")
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("%v in %s%s", err, stdout, stderr)
	}
	byName = make(map[string]check)
	for _, c := range r.Checks {
		if c.Found == "" || c.Name == "" {
			t.Errorf("%+v says nothing", c)
		}
		byName[c.Name] = c
	}
	return code, r, byName
}

func TestEverythingNeededIsHere(t *testing.T) {
	if os.Getenv("SLIPWAY_SKIP_ONNXRUNTIME") == "1" {
		t.Skip("SLIPWAY_SKIP_ONNXRUNTIME=1: nothing of onnxruntime is tested")
	}
	code, r, checks := examined(t)
	if code != 0 || !r.OK {
		t.Fatalf("exit %d: %+v", code, r)
	}
	for name, want := range map[string]string{"Go": "go version go1.", "onnxruntime": "libonnxruntime",
		"MNIST test set": "10000 images", "CPU": "cores"} {
		if c := checks[name]; c.State != stateOK || !c.Needed || !strings.Contains(c.Found, want) ||
			c.Remedy != "" {
			t.Errorf("%+v, want %q", c, want)
		}
	}
	if code, stdout, _ := runCommand(t); code != 0 ||
		!strings.Contains(stdout, "Everything that is needed") {
		t.Errorf("exit %d: %s", code, stdout)
	}
}

// The line names what there is, and the first piece that is not, with its remedy.
func TestCUDATrainingIsDownToTheFirstMissingPiece(t *testing.T) {
	all := cuda.Inspection{Built: true, Driver: "13.0",
		Devices: []cuda.DeviceInfo{{Name: "NVIDIA X", Capability: "9.0", Memory: 80 << 30}},
		CUDNN:   "9.28.1 (libcudnn.so.9)", CUBLAS: "libcublas.so.13",
		CUBLASLT: "none (libcublasLt.so.13: no such file)"}
	c := checkTraining(all)
	for _, want := range []string{"CUDA 13.0", "cuda:0 NVIDIA X, compute capability 9.0, 80.0 GiB",
		"cuDNN 9.28.1 (libcudnn.so.9)", "cuBLAS libcublas.so.13",
		"cuBLASLt none (libcublasLt.so.13: no such file)"} {
		if c.State != stateOK || !strings.Contains(c.Found, want) || c.Remedy != "" {
			t.Errorf("%+v, want %q", c, want)
		}
	}
	c = checkTraining(cuda.Inspection{Built: true, Driver: "13.0",
		Missing: &cuda.MissingError{Piece: cuda.PieceDevice, Reason: "the driver sees no GPU",
			Remedy: "look at nvidia-smi"}})
	if c.State != stateMissing || c.Needed ||
		!strings.Contains(c.Found, "CUDA 13.0; device: the driver sees no GPU") ||
		c.Remedy != "look at nvidia-smi" {
		t.Errorf("%+v", c)
	}
	if found := cuda.Inspect(); !found.Built && !strings.Contains(checkTraining(found).Remedy,
		"make gpu") {
		t.Errorf("%+v", checkTraining(found))
	}
}

func TestMissingThingsAreNamedWithTheirRemedy(t *testing.T) {
	empty := t.TempDir()
	t.Setenv("PATH", empty)
	t.Setenv("CC", "")
	t.Setenv("HOME", empty)
	t.Setenv("XDG_CACHE_HOME", empty)
	t.Setenv("ONNXRUNTIME_LIB", filepath.Join(empty, "libonnxruntime.so"))
	t.Setenv("SLIPWAY_KERNEL", "nonsense")
	code, r, checks := examined(t)
	if code != 1 || r.OK {
		t.Errorf("exit %d, ok %t", code, r.OK)
	}
	for name, want := range map[string]check{
		"Go":                 {State: stateMissing, Needed: true, Remedy: "install Go"},
		"C compiler":         {State: stateMissing, Needed: true, Remedy: "gcc or clang"},
		"kernels":            {State: stateDamaged, Needed: true, Remedy: "unset SLIPWAY_KERNEL"},
		"make":               {State: stateMissing, Needed: false, Remedy: "install make"},
		"pip or npm":         {State: stateMissing, Needed: true, Remedy: "ONNXRUNTIME_LIB"},
		"onnxruntime":        {State: stateMissing, Needed: true, Remedy: "make setup"},
		"MNIST training set": {State: stateMissing, Needed: false, Remedy: "dataset fetch"},
	} {
		if c := checks[name]; c.State != want.State || c.Needed != want.Needed ||
			!strings.Contains(c.Remedy, want.Remedy) {
			t.Errorf("%+v, want %+v", c, want)
		}
	}
	if _, stdout, _ := runCommand(t); !strings.Contains(stdout, "MISSING  onnxruntime") ||
		!strings.Contains(stdout, "→ make setup") {
		t.Errorf("%s", stdout)
	}
}

// What train would refuse and bring anew is not called well, and a folder without the
// set is not called damaged.
func TestTrainingSet(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)
	c := checkTrainingSet()
	if c.State != stateMissing || !strings.Contains(c.Found, cache) ||
		!strings.Contains(c.Remedy, "dataset fetch") {
		t.Errorf("no folder: %+v", c)
	}
	folder, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	folder = filepath.Join(folder, "slipway", "mnist")
	if err := os.MkdirAll(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	if c := checkTrainingSet(); c.State != stateMissing || !strings.Contains(c.Found, folder) {
		t.Errorf("an empty folder: %+v", c)
	}
	// Another set under the names of this one.
	set := datasettest.Digits(t, 10)
	for name, x := range map[string]*dataset.IDX{
		"train-images-idx3-ubyte.gz": {Type: dataset.Uint8, Shape: []int{10, 28, 28}, Data: set.Images},
		"train-labels-idx1-ubyte.gz": {Type: dataset.Uint8, Shape: []int{10}, Data: set.LabelBytes()},
	} {
		var packed bytes.Buffer
		zip := gzip.NewWriter(&packed)
		if err := errors.Join(dataset.WriteIDX(zip, x), zip.Close(),
			os.WriteFile(filepath.Join(folder, name), packed.Bytes(), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	if c := checkTrainingSet(); c.State != stateDamaged || !strings.Contains(c.Found, "checksum") ||
		!strings.Contains(c.Remedy, "dataset fetch") {
		t.Errorf("another set: %+v", c)
	}
}

// A go command that is there, but older than go.mod asks for, is named.
func TestGoVersion(t *testing.T) {
	for said, want := range map[string]state{
		"go version go1.25.9 linux/amd64": stateMissing, "go version go1.9 linux/amd64": stateMissing,
		"go version go1.26.0 linux/amd64": stateOK, "go version go1.26rc1 linux/amd64": stateMissing,
		"go version go1.30 X:nocoverageredesign linux/amd64": stateOK,
		"go version devel +abc":                              stateOK, "go version devel go1.27-abc linux/amd64": stateOK,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "go"), []byte("#!/bin/sh\necho '"+said+"'\n"),
			0o777); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", dir)
		c := checkGo(t.Context())
		if c.State != want || !c.Needed || !strings.Contains(c.Found, said) ||
			(c.Remedy == "") != (want == stateOK) {
			t.Errorf("%q: %+v", said, c)
		}
	}
	module, err := os.ReadFile("../../../go.mod")
	if err != nil ||
		!strings.Contains(string(module), "\ngo "+strings.TrimPrefix(goNeeded, "go")+"\n") {
		t.Errorf("go.mod does not ask for %s (%v)", goNeeded, err)
	}
}

func TestUsage(t *testing.T) {
	if code, _, stderr := runCommand(t, "-jsno"); code != 2 || !strings.Contains(stderr, "json") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if code, stdout, _ := runCommand(t, "-h"); code != 0 || !strings.Contains(stdout, "remedy") {
		t.Errorf("exit %d: %s", code, stdout)
	}
	if code, stdout, _ := runCommand(t, "-version"); code != 0 ||
		!strings.HasPrefix(stdout, "doctor ") {
		t.Errorf("exit %d: %s", code, stdout)
	}
}

// A program that is slow to answer is there all the same; one that fails is not.
func TestASlowToolIsNotMissing(t *testing.T) {
	dir := t.TempDir()
	for name, script := range map[string]string{"slow": "exec sleep 60", "shim": "exit 1",
		"quick": "echo quick 1.0; echo more"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"),
			0o777); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	for _, test := range []struct {
		commands [][]string
		state    state
		found    string
	}{
		{[][]string{{"slow"}}, stateOK, "slow, which did not say its version within 200ms"},
		{[][]string{{"slow"}, {"quick"}}, stateOK, "quick 1.0 ("},
		{[][]string{{"shim"}}, stateMissing, "not found"},
		{[][]string{{"absent-tool"}}, stateMissing, "not found"},
	} {
		got := tool(t.Context(), 200*time.Millisecond, "tool", true, "install it", test.commands...)
		if got.State != test.state || !strings.Contains(got.Found, test.found) {
			t.Errorf("%v: %+v", test.commands, got)
		}
	}
}

// An MPI library is not needed; one that is there says what it is.
func TestMPI(t *testing.T) {
	c := checkMPI()
	missing := c.State == stateMissing && strings.Contains(c.Remedy, "docs/scale.md")
	found := c.State == stateOK && strings.Contains(c.Found, " ABI)")
	if c.Needed || c.Found == "" || !missing && !found {
		t.Errorf("%+v", c)
	}
}

// Without a launcher there is nothing to measure, and it is said how to.
func TestMPIOfOneProcess(t *testing.T) {
	for _, name := range []string{"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS",
		"PMIX_RANK"} {
		t.Setenv(name, "")
	}
	code, out, errs := runCommand(t, "-mpi")
	if code != 0 || !strings.Contains(out, "This is one process.") ||
		!strings.Contains(out, "mpirun -n 2 --map-by node doctor -mpi ") || errs != "" {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	code, _, errs = runCommand(t, "-mpi", "-json")
	if code != 2 || !strings.Contains(errs, "-json does not go with -mpi") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// NCCL is named where it is found, and nobody needs it who trains on one GPU.
func TestNCCLIsForSeveralGPUs(t *testing.T) {
	if c := checkNCCL("2.28.9 (/opt/libnccl.so.2)", nil); c.State != stateOK || c.Needed ||
		c.Found != "2.28.9 (/opt/libnccl.so.2)" || c.Remedy != "" {
		t.Errorf("%+v", c)
	}
	c := checkNCCL("", errors.New("no NCCL can be loaded"))
	if c.State != stateMissing || c.Needed || c.Found != "no NCCL can be loaded" ||
		!strings.Contains(c.Remedy, "only train -mpi -device cuda needs it") {
		t.Errorf("%+v", c)
	}
}
