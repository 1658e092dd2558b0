//go:build cgo

package infer

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestPlacesInOrtAPI: the functions of onnxruntime that are called by their places are those of the
// header that the binding ships.
func TestPlacesInOrtAPI(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}",
		"github.com/yalue/onnxruntime_go").Output()
	if err != nil {
		t.Fatal(err)
	}
	header, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)),
		"onnxruntime_c_api.h"))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("onnxruntime_api.h")
	if err != nil {
		t.Fatal(err)
	}
	functions := ortFunctions(string(header))
	used := regexp.MustCompile(`(?m)^\t([A-Z]\w+) = (\d+),$`).FindAllStringSubmatch(string(source), -1)
	if len(functions) < 300 || len(used) < 13 {
		t.Fatalf("%d functions, of which %d are used", len(functions), len(used))
	}
	for _, function := range used {
		if place := strconv.Itoa(slices.Index(functions, function[1])); place != function[2] {
			t.Errorf("%s is said to be function %s, and is %s", function[1], function[2], place)
		}
	}
}

// ortFunctions returns the names of what OrtApi of a header holds, in their order.
func ortFunctions(header string) []string {
	_, body, _ := strings.Cut(header, "struct OrtApi {")
	body, _, _ = strings.Cut(body, "\n};")
	body = regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*`).ReplaceAllString(body, "")
	var names []string
	for _, found := range regexp.MustCompile(`ORT_API2_STATUS\(\s*(\w+)|ORT_CLASS_(RELEASE)\((\w+)\)|`+
		`\(\s*ORT_API_CALL\s*\*\s*(\w+)\s*\)|ORT_API_T\([^,]+,\s*(\w+)`).FindAllStringSubmatch(body, -1) {
		switch {
		case found[2] != "":
			names = append(names, "Release"+found[3])
		default:
			names = append(names, found[1]+found[4]+found[5])
		}
	}
	return names
}

// TestSignalsOfOthers: faults that no lent file has are Go's, as they were.
func TestSignalsOfOthers(t *testing.T) {
	r, err := OpenONNXRuntime(t.Context(), openLeft(t, leftFile(t)),
		ONNXRuntimeOptions{Device: DeviceCPU})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	file, err := os.Create(filepath.Join(t.TempDir(), "cut"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(1 << 20); err != nil {
		t.Fatal(err)
	}
	data, err := syscall.Mmap(int(file.Fd()), 0, 1<<20, syscall.PROT_READ, syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(data)
	if err := file.Truncate(0); err != nil {
		t.Fatal(err)
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault, ok := recover().(interface{ Addr() uintptr }); !ok || fault.Addr() == 0 {
			t.Errorf("the fault is %v", fault)
		}
	}()
	t.Errorf("read %d behind the end of a file", data[1<<19])
}
