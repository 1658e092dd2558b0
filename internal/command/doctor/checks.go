package doctor

import (
	"context"
	"errors"
	"fmt"
	"go/version"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/cpu"

	"slipway/dataset"
	"slipway/infer"
	"slipway/internal/cli"
	"slipway/internal/cuda"
	"slipway/internal/kernel"
	"slipway/internal/mpi"
)

// toolTimeout is how long a program may take to say its version.
const toolTimeout = 10 * time.Second

type state string

const (
	stateOK      state = "ok"
	stateMissing state = "missing"
	stateDamaged state = "damaged"
)

// check is one line of the report.
type check struct {
	Name   string `json:"name"`
	State  state  `json:"state"`
	Needed bool   `json:"needed"`
	Found  string `json:"found"`
	Remedy string `json:"remedy"`
}

type report struct {
	OK     bool    `json:"ok"`
	Checks []check `json:"checks"`
}

// examine looks at everything. It changes nothing and uses no network.
func examine(ctx context.Context) report {
	library, libraryErr := infer.FindLibrary("", infer.CUDASign() != "")
	gpu := cuda.Inspect()
	r := report{OK: true, Checks: []check{
		checkCPU(),
		checkKernels(),
		checkGo(ctx),
		checkCompiler(ctx),
		tool(ctx, toolTimeout, "make", false,
			"install make from your system, or run the commands of the Makefile yourself",
			[]string{"make", "--version"}),
		checkBringer(ctx, libraryErr != nil),
		checkLibrary(library, libraryErr),
		checkCUDA(library),
		checkTraining(gpu),
		checkMPI(),
		checkTestSet(ctx),
		checkTrainingSet(),
	}}
	if gpu.Built {
		at := slices.IndexFunc(r.Checks, func(c check) bool { return c.Name == "MPI" })
		r.Checks = slices.Insert(r.Checks, at, checkNCCL(cuda.NCCL()))
	}
	for _, c := range r.Checks {
		if c.Needed && c.State != stateOK {
			r.OK = false
		}
	}
	return r
}

// checkMPI looks for a library that train -mpi would load.
func checkMPI() check {
	c := check{Name: "MPI"}
	library, err := mpi.Find()
	if err != nil {
		c.State, c.Found = stateMissing, err.Error()
		c.Remedy = "only train -mpi needs it, for several machines: docs/scale.md"
		return c
	}
	c.State, c.Found = stateOK, library.String()
	return c
}

// checkNCCL tells of the library by which the GPUs of several ranks exchange, or why there is none.
func checkNCCL(library string, err error) check {
	c := check{Name: "NCCL", State: stateOK, Found: library}
	if err != nil {
		c.State, c.Found = stateMissing, err.Error()
		c.Remedy = "only train -mpi -device cuda needs it, for several GPUs: docs/scale.md"
	}
	return c
}

// tool runs the first of the commands that works and takes the first line that
// it prints. One that is there and has not answered in time is slow, not missing.
func tool(ctx context.Context, timeout time.Duration, name string, needed bool, remedy string,
	commands ...[]string) check {
	slow := ""
	for _, command := range commands {
		path, err := exec.LookPath(command[0])
		if err != nil {
			continue
		}
		line, err := firstLine(ctx, timeout, path, command[1:])
		switch {
		case err == nil:
			return check{Name: name, State: stateOK, Needed: needed,
				Found: fmt.Sprintf("%s (%s)", line, path)}
		case errors.Is(err, context.DeadlineExceeded) && slow == "":
			slow = path
		} // any other failure is a shim with nothing behind it
	}
	if slow != "" {
		found := fmt.Sprintf("%s, which did not say its version within %v", slow, timeout)
		return check{Name: name, State: stateOK, Needed: needed, Found: found}
	}
	return check{Name: name, State: stateMissing, Needed: needed, Found: "not found", Remedy: remedy}
}

// firstLine is the first line that a program prints.
func firstLine(ctx context.Context, timeout time.Duration, path string, args []string) (string,
	error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	process := exec.CommandContext(ctx, path, args...)
	process.WaitDelay = time.Second
	output, err := process.Output()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(output)), "\n")
	return line, err
}

// goNeeded is the version that go.mod asks for.
const goNeeded = "go1.26.0"

// goVersion finds the version in what the go command says of itself.
var goVersion = regexp.MustCompile(`^go version (?:devel )?(go1\.\S+)`)

// checkGo looks for the go command, and whether it is new enough.
func checkGo(ctx context.Context) check {
	const remedy = "install Go 1.26 or newer from your system or from the Go project"
	c := tool(ctx, toolTimeout, "Go", true, remedy, []string{"go", "version"})
	if found := goVersion.FindStringSubmatch(c.Found); found != nil &&
		version.Compare(found[1], goNeeded) < 0 {
		c.State, c.Remedy = stateMissing, remedy
		c.Found += ", older than " + goNeeded
	}
	return c
}

func checkCompiler(ctx context.Context) check {
	var commands [][]string
	if cc := strings.Fields(os.Getenv("CC")); len(cc) > 0 {
		commands = append(commands, append(cc, "--version"))
	}
	for _, name := range []string{"cc", "gcc", "clang"} {
		commands = append(commands, []string{name, "--version"})
	}
	return tool(ctx, toolTimeout, "C compiler", true,
		"install gcc or clang from your system: cgo, which loads onnxruntime, needs it", commands...)
}

// checkBringer looks for what setup-onnxruntime downloads with; it is needed as
// long as there is no library.
func checkBringer(ctx context.Context, needed bool) check {
	return tool(ctx, toolTimeout, "pip or npm", needed,
		"install one of them, or onnxruntime itself and set "+infer.LibraryVariable,
		[]string{"python3", "-m", "pip", "--version"}, []string{"pip3", "--version"},
		[]string{"pip", "--version"}, []string{"npm", "--version"})
}

func checkLibrary(library infer.Library, err error) check {
	c := check{Name: "onnxruntime", State: stateOK, Needed: true}
	if errors.Is(err, infer.ErrWithoutCgo) {
		c.State, c.Needed, c.Found = stateMissing, false, err.Error()
		return c
	}
	if err != nil {
		c.State, c.Found, c.Remedy = stateMissing, err.Error(), "make setup"
		return c
	}
	c.Found = fmt.Sprintf("%s, %s (%s)", library.Version, library.Path, library.Origin)
	switch err := infer.VerifyLibrary(library); {
	case err == nil:
		c.Found += ", sha256 verified"
	case errors.Is(err, infer.ErrNotPinned):
		c.Found += ", sha256 not known: it is a library of your own, or another release"
	default:
		c.State, c.Found, c.Remedy = stateDamaged, err.Error(), "make setup brings it again"
	}
	return c
}

// checkCUDA tells what speaks for a GPU; only making a session shows whether it
// can be used.
func checkCUDA(library infer.Library) check {
	c := check{Name: "CUDA inference", State: stateMissing, Remedy: ""}
	sign := infer.CUDASign()
	if sign == "" {
		c.Found = "no sign of an NVIDIA GPU: infer -device auto runs on the CPU"
		return c
	}
	driver := "driver of unknown version"
	if text, err := os.ReadFile("/proc/driver/nvidia/version"); err == nil {
		if version := regexp.MustCompile(`\d+\.\d+(\.\d+)?`).Find(text); version != nil {
			driver = "driver " + string(version)
		}
	}
	c.Found = fmt.Sprintf("%s, %s", sign, driver)
	if !library.CUDA {
		c.Found += ", but no CUDA build of onnxruntime: infer -device auto falls back to the CPU"
		c.Remedy = "scripts/setup-onnxruntime --cuda; it needs CUDA 13 and cuDNN 9 on the library path"
		return c
	}
	c.State = stateOK
	c.Found += ": infer -device auto tries it first, and says so when it fails"
	return c
}

// checkTraining tells what of CUDA training would run on, down to the first piece that
// is missing.
func checkTraining(found cuda.Inspection) check {
	c := check{Name: "CUDA training", State: stateMissing}
	var parts []string
	if found.Driver != "" {
		parts = append(parts, "driver of CUDA "+found.Driver)
	}
	for i, device := range found.Devices {
		parts = append(parts, fmt.Sprintf("cuda:%d %s, compute capability %s, %.1f GiB", i, device.Name,
			device.Capability, float64(device.Memory)/(1<<30)))
	}
	if found.CUDNN != "" {
		parts = append(parts, "cuDNN "+found.CUDNN)
	}
	if found.CUBLAS != "" {
		parts = append(parts, "cuBLAS "+found.CUBLAS)
	}
	if found.CUBLASLT != "" {
		parts = append(parts, "cuBLASLt "+found.CUBLASLT)
	}
	if found.Missing == nil {
		c.State = stateOK
		parts = append(parts, "train -device auto uses it")
	} else {
		parts = append(parts, fmt.Sprintf("%s: %s", found.Missing.Piece, found.Missing.Reason))
		c.Remedy = found.Missing.Remedy
	}
	c.Found = strings.Join(parts, "; ")
	return c
}

func checkTestSet(ctx context.Context) check {
	c := check{Name: "MNIST test set", State: stateOK, Needed: true}
	set, err := dataset.Open(ctx, string(dataset.Test), dataset.Options{})
	if err != nil {
		c.State, c.Found, c.Remedy = stateDamaged, err.Error(), "build this program again"
		return c
	}
	c.Found = fmt.Sprintf("%d images, embedded, sha256 verified", set.Len())
	return c
}

// checkTrainingSet looks into the cache alone, as train does first; training brings the
// set there.
func checkTrainingSet() check {
	remedy := cli.ShellLine(cli.Called("dataset fetch")...) +
		"; train brings it, too, from the Go module " + dataset.Module
	c := check{Name: "MNIST training set", State: stateOK}
	set, folder, err := dataset.CachedTrain(dataset.Options{})
	switch {
	case folder == "":
		c.State, c.Found, c.Remedy = stateMissing, err.Error(), "set HOME or XDG_CACHE_HOME, or give train -data-dir"
	case errors.Is(err, fs.ErrNotExist):
		c.State, c.Found, c.Remedy = stateMissing, "not in "+folder, remedy
	case err != nil:
		c.State, c.Found, c.Remedy = stateDamaged, err.Error(), remedy
	default:
		c.Found = fmt.Sprintf("%d images in %s, sha256 verified", set.Len(), folder)
	}
	return c
}

func checkCPU() check {
	var features []string
	for _, f := range []struct {
		name string
		has  bool
	}{
		{"AVX2", cpu.X86.HasAVX2},
		{"FMA", cpu.X86.HasFMA},
		{"AVX-512F", cpu.X86.HasAVX512F},
		{"AVX-512 VNNI", cpu.X86.HasAVX512VNNI},
		{"AVX-512 BF16", cpu.X86.HasAVX512BF16},
		{"AMX", cpu.X86.HasAMXTile},
		{"ASIMD", cpu.ARM64.HasASIMD},
		{"SVE", cpu.ARM64.HasSVE},
	} {
		if f.has {
			features = append(features, f.name)
		}
	}
	found := fmt.Sprintf("%s/%s, %d of %d cores used", runtime.GOOS, runtime.GOARCH,
		runtime.GOMAXPROCS(0), runtime.NumCPU())
	if model := cpuModel(); model != "" {
		found = model + ", " + found
	}
	if len(features) > 0 {
		found += ", " + strings.Join(features, " ")
	}
	return check{Name: "CPU", State: stateOK, Needed: true, Found: found}
}

// checkKernels names the set of kernels that training runs on.
func checkKernels() check {
	c := check{Name: "kernels", State: stateOK, Needed: true}
	set, err := kernel.Select("")
	if err != nil {
		c.State, c.Found, c.Remedy = stateDamaged, err.Error(), "unset "+kernel.EnvironmentVariable+
			" to have the best set chosen"
		return c
	}
	c.Found = set.Name()
	switch err := set.CheckBF16(); {
	case err == nil:
		c.Found += ", and bf16 in tiles (AMX)"
	case cpu.X86.HasAMXTile: // which other CPUs lack is no news
		c.Found += ", no bf16 (" + err.Error() + ")"
	}
	if asked := os.Getenv(kernel.EnvironmentVariable); asked != "" {
		c.Found += ", as " + kernel.EnvironmentVariable + " says"
	}
	return c
}

// cpuModel is the processor's name on Linux, empty elsewhere.
func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
