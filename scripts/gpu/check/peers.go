package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
)

const (
	rowPyTorch = "PyTorch's step of E1, µs"
	rowJAX     = "JAX's step of E1, µs"
)

// checkPyTorch times PyTorch's step of E1 beside ours: the most usual modes first.
func checkPyTorch(ctx context.Context, c *checker) {
	c.checkPeer(ctx, rowPyTorch, "no PyTorch with CUDA",
		"import torch; assert torch.cuda.is_available()",
		"torch_steps.py", "32", "128", "512")
}

// checkJAX times JAX's.
func checkJAX(ctx context.Context, c *checker) {
	c.checkPeer(ctx, rowJAX, "no JAX with CUDA", "import jax; assert jax.default_backend() == 'gpu'",
		"jax_steps.py", "32", "128", "512")
}

func (c *checker) checkPeer(ctx context.Context, row, absent, question, script string,
	batches ...string) {
	if !c.needsGPU(row) {
		return
	}
	if !has("python3") {
		c.missing(row, absent+": there is no python3")
		return
	}
	if r := c.run(ctx, observed{part: "peers"}, "python3", "-c", question); r.err != nil {
		c.missing(row, absent+": "+r.reason())
		return
	}
	var figures []string
	timed := 0
	r := c.run(ctx, observed{part: "peers", see: func(line string) {
		var one struct {
			Mode, Error  string
			Batch        int
			Microseconds float64
		}
		if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &one) != nil {
			return
		}
		text := fmt.Sprintf("%s batch %d: %.1f", one.Mode, one.Batch, one.Microseconds)
		if one.Error != "" {
			text = fmt.Sprintf("%s batch %d: %s", one.Mode, one.Batch, one.Error)
		} else {
			timed++
		}
		figures = append(figures, text)
		c.add(row, passed, strings.Join(figures, "; "))
	}}, "python3", append([]string{filepath.Join(c.folder, script)}, batches...)...)
	switch {
	case timed == 0:
		c.add(row, failed, strings.Join(append(figures, r.reason()), "; "))
	case r.err != nil:
		// A peer's figures are not ours to fail for: those that came are told, and why no more did.
		c.add(row, passed, strings.Join(append(figures, "not measured: the rest: "+r.reason()), "; "))
	}
}
