//go:build !(gpu && linux && amd64)

package cuda

import "runtime"

func missingBuild() *MissingError {
	remedy := "build with `make gpu`, or use -device cpu, or auto, which takes the CPU here"
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		remedy = "it is for Linux on x86-64; use -device cpu, or auto, which takes the CPU here"
	}
	return &MissingError{Piece: PieceBuild, Reason: "this build has no CUDA", Remedy: remedy}
}

func open(int) (Device, error) { return nil, missingBuild() }

func findNCCL() (string, error) { return "", missingBuild() }

func inspect() Inspection { return Inspection{Missing: missingBuild()} }
