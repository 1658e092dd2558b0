//go:build cgo

package infer

import (
	"fmt"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

// ortEnvironment counts the users of ONNX Runtime's environment. It is the one
// package-level state here, because the environment and the library that
// onnxruntime_go holds are global to the process, too.
var ortEnvironment struct {
	sync.Mutex
	users   int
	library Library
}

// acquireEnvironment initialises the environment from the library, or joins
// the users of one that runs. Each success is paired with a releaseEnvironment.
func acquireEnvironment(library Library) error {
	e := &ortEnvironment
	e.Lock()
	defer e.Unlock()
	if e.users > 0 {
		if e.library.Path != library.Path {
			return fmt.Errorf(
				"onnxruntime runs from %s in this process: %s can be loaded when its runtimes are closed",
				e.library.Path, library.Path)
		}
		e.users++
		return nil
	}
	ort.SetSharedLibraryPath(library.Path)
	if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
		return &LibraryError{Reasons: []error{fmt.Errorf("%s (onnxruntime %s): %w", library.Path,
			library.Version, err)}}
	}
	e.users, e.library = 1, library
	return nil
}

// releaseEnvironment destroys the environment after its last user.
func releaseEnvironment() error {
	e := &ortEnvironment
	e.Lock()
	defer e.Unlock()
	e.users--
	if e.users > 0 {
		return nil
	}
	if err := ort.DestroyEnvironment(); err != nil {
		return fmt.Errorf("onnxruntime: %w", err)
	}
	return nil
}
