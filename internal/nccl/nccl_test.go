//go:build gpu && linux && amd64

package nccl

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// realLibraries is that of internal/cuda's tests: it says that NVIDIA's own libraries are here,
// which scripts/setup-cuda --libraries and --nccl bring.
const realLibraries = "SLIPWAY_TEST_REAL_CUDA"

// NVIDIA's library has every function that is called, and its header, where it lies beside,
// declares them as they are called.
func TestRealLibraryHasEverySymbol(t *testing.T) {
	if os.Getenv(realLibraries) == "" {
		t.Skipf("needs NVIDIA's NCCL: make gpu-test-libraries sets %s after scripts/setup-cuda --nccl",
			realLibraries)
	}
	library, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("NCCL %s: every function is found", library)
	if !regexp.MustCompile(`^2\.\d+\.\d+$`).MatchString(library.Version) {
		t.Errorf("the release is %q", library.Version)
	}
	if _, err := NewID(); err != nil {
		t.Logf("no ID is made here: %v", err) // it may take a network, and a GPU
	}
	header, err := os.ReadFile(filepath.Join(filepath.Dir(library.File), "..", "include", "nccl.h"))
	if err != nil {
		t.Skipf("its header is not beside it: %v", err)
	}
	text := strings.Join(strings.Fields(string(header)), " ")
	for _, declaration := range []string{
		"#define NCCL_UNIQUE_ID_BYTES 128 typedef struct { char internal[NCCL_UNIQUE_ID_BYTES]; } " +
			"ncclUniqueId;",
		"ncclUint8 = 1,", "ncclFloat32 = 7,", "ncclSuccess = 0,", "ncclInProgress = 7,",
		"ncclResult_t ncclGetVersion(int *version);",
		"ncclResult_t ncclGetUniqueId(ncclUniqueId* uniqueId);",
		"ncclResult_t ncclCommInitRank(ncclComm_t* comm, int nranks, ncclUniqueId commId, int rank);",
		"ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *asyncError);",
		"ncclResult_t ncclCommAbort(ncclComm_t comm);",
		"ncclResult_t ncclCommDestroy(ncclComm_t comm);",
		"ncclResult_t ncclGroupStart();", "ncclResult_t ncclGroupEnd();",
		"ncclResult_t ncclSend(const void* sendbuff, size_t count, ncclDataType_t datatype, int " +
			"peer, ncclComm_t comm, cudaStream_t stream);",
		"ncclResult_t ncclRecv(void* recvbuff, size_t count, ncclDataType_t datatype, int peer, " +
			"ncclComm_t comm, cudaStream_t stream);",
		"const char* ncclGetErrorString(ncclResult_t result);",
		"const char* ncclGetLastError(ncclComm_t comm);",
	} {
		if !strings.Contains(text, declaration) {
			t.Errorf("the header has no %q", declaration)
		}
	}
}

// What was named is tried alone; without, Python's packages come behind the loader's own search.
func TestFiles(t *testing.T) {
	environment := t.TempDir()
	packaged := filepath.Join(environment, "lib/python3.99/site-packages/nvidia/nccl/lib", fileName)
	if err := os.MkdirAll(filepath.Dir(packaged), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(packaged, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	all := files(func(name string) string {
		return map[string]string{"VIRTUAL_ENV": environment, "CONDA_PREFIX": "."}[name]
	})
	if all[0] != fileName || !slices.Contains(all, packaged) {
		t.Errorf("%v, want %s first and %s behind it", all, fileName, packaged)
	}
	named := files(func(name string) string {
		return map[string]string{"VIRTUAL_ENV": environment, LibraryVariable: "/opt/own.so"}[name]
	})
	if !slices.Equal(named, []string{"/opt/own.so"}) {
		t.Errorf("%v, want what was named", named)
	}
}

// A file that is no NCCL is told from one that is not there.
func TestFilesThatAreNoNCCL(t *testing.T) {
	for file, want := range map[string]string{
		"/nowhere/libnccl.so.2": "/nowhere/libnccl.so.2: cannot open shared object file",
		"libm.so.6":             "libm.so.6 is no NCCL of 2.13 or newer: it has no ncclGetVersion",
	} {
		if _, err := loadFile(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// An error of the library's names the call, the number and what the library says.
func TestErrorsName(t *testing.T) {
	err := error(&Error{Call: "ncclSend", Code: 5, Text: "invalid usage", Detail: "why"})
	var own *Error
	if !errors.As(err, &own) ||
		err.Error() != "ncclSend: invalid usage (5): why; NCCL_DEBUG=WARN has it say more" {
		t.Error(err)
	}
}
