// Package librarytest shows tests the onnxruntime library that `make setup` put into the
// repository. The commands do not look into the working folder, and a test's executable lies
// outside the repository.
package librarytest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// variable is infer.LibraryVariable, which infer's own tests could not import from here.
const variable = "ONNXRUNTIME_LIB"

// Use names the repository's library to FindLibrary and to what the tests start, unless
// the environment names one. It is for TestMain, and does nothing where there is none.
func Use() error {
	if os.Getenv(variable) != "" {
		return nil
	}
	folder, err := os.Getwd()
	if err != nil {
		return err
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			break
		}
		if folder == filepath.Dir(folder) {
			return nil
		}
		folder = filepath.Dir(folder)
	}
	found, err := filepath.Glob(filepath.Join(folder, ".cache", "onnxruntime", "*",
		runtime.GOOS+"-"+runtime.GOARCH, "lib", "libonnxruntime.*"))
	if err != nil || len(found) == 0 {
		return err
	}
	return os.Setenv(variable, found[len(found)-1])
}

// Main runs a package's tests with the library. It is a TestMain that does nothing else.
func Main(m *testing.M) {
	if err := Use(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
