package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	rowInferE1  = "e1.onnx through onnxruntime's CUDA provider"
	rowInferE2  = "e2.onnx through onnxruntime's CUDA provider"
	rowProfile  = "kernels of a step (ncu)"
	rowMemcheck = "compute-sanitizer memcheck"
)

// checkInference evaluates the exported graphs through onnxruntime's CUDA provider.
func checkInference(ctx context.Context, c *checker) {
	if !c.needsGPU(rowInferE1, rowInferE2) {
		return
	}
	library := c.onnxruntimeLibrary(ctx)
	for _, model := range []string{"e1", "e2"} {
		row := map[string]string{"e1": rowInferE1, "e2": rowInferE2}[model]
		if library == "" {
			c.missing(row, "no CUDA build of onnxruntime: install onnxruntime-gpu, or set ONNXRUNTIME_LIB")
			continue
		}
		answer := ""
		r := c.run(ctx, observed{part: "other", see: func(line string) {
			if strings.Contains(line, "CUDAExecutionProvider") {
				answer = line
			}
		}}, "bin/infer", "-model", filepath.Join(c.folder, "graphs", model+".onnx"), "-data", "t10k",
			"-device", "cuda", "-library", library)
		if r.err != nil || answer == "" {
			c.add(row, failed, r.reason())
			continue
		}
		c.add(row, passed, answer)
	}
}

// onnxruntimeLibrary is the file of a CUDA build, empty if there is none.
func (c *checker) onnxruntimeLibrary(ctx context.Context) string {
	if own := os.Getenv("ONNXRUNTIME_LIB"); own != "" {
		return own
	}
	found, err := c.output(ctx, "other", "python3", "-c",
		"import importlib.util as u; print('package:', u.find_spec('onnxruntime').submodule_search_locations[0])")
	_, place, ok := strings.Cut(found, "package:")
	if err != nil || !ok {
		return ""
	}
	place, _, _ = strings.Cut(strings.TrimSpace(place), "\n")
	folder := filepath.Join(place, "capi")
	if _, err := os.Stat(filepath.Join(folder, "libonnxruntime_providers_cuda.so")); err != nil {
		return ""
	}
	libraries, err := filepath.Glob(filepath.Join(folder, "libonnxruntime.so.*"))
	if err != nil || len(libraries) == 0 {
		return ""
	}
	return libraries[0]
}

// checkProfile has NVIDIA's profiler look at sixty kernels, once each.
func checkProfile(ctx context.Context, c *checker) {
	if !c.needsGPU(rowProfile) {
		return
	}
	if !has("ncu") {
		c.missing(rowProfile, "no ncu")
		return
	}
	kernels := 0
	r := c.run(ctx, observed{part: "other", see: func(line string) {
		if strings.HasPrefix(strings.TrimSpace(line), "\"") {
			kernels++
		}
	}, environment: []string{"SLIPWAY_CUDA_GRAPHS=0"}}, "ncu", "--csv", "--launch-count", "60",
		"--section", "SpeedOfLight", filepath.Join(c.folder, "bin", "cuda.test"),
		"-test.run=^"+contactTest+"$")
	if r.err != nil || kernels == 0 {
		c.add(rowProfile, failed, r.reason())
		return
	}
	c.add(rowProfile, passed, fmt.Sprintf("%d lines of figures, in the file of the other programs",
		kernels))
}

// checkMemory runs a few steps of batch 8 under NVIDIA's checker of memory.
func checkMemory(ctx context.Context, c *checker) {
	if !c.needsGPU(rowMemcheck) {
		return
	}
	if !has("compute-sanitizer") {
		c.missing(rowMemcheck, "no compute-sanitizer")
		return
	}
	summary := ""
	r := c.run(ctx, observed{part: "other", see: func(line string) {
		if strings.Contains(line, "ERROR SUMMARY") {
			summary = line
		}
	}}, "compute-sanitizer", "--tool", "memcheck", "--error-exitcode", "9",
		filepath.Join(c.folder, "bin", "cuda.test"), "-test.run=^"+contactTest+"$")
	if r.err != nil || summary == "" {
		c.add(rowMemcheck, failed, r.reason())
		return
	}
	c.add(rowMemcheck, passed, summary)
}
