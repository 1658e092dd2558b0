//go:build cgo && !linux

package infer

import "slipway/onnx"

// placementEntry has onnxruntime refuse a session with nodes on the CPU, those that tell of sizes
// among them: only on Linux are they told apart.
const placementEntry = "session.disable_cpu_ep_fallback"

// sizesOnCPU is none.
func sizesOnCPU(*session, Library, *onnx.Model) ([]string, error) { return nil, nil }
