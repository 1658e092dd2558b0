package main

import (
	"context"
	"fmt"
	"image"
	"slices"

	"slipway/infer"
	"slipway/infer/classify"
	"slipway/onnx"
)

// leftOut is a side that there is not, and why.
type leftOut struct{ name, why string }

// open opens the model on all sides. What is done with onnxruntime by hand follows the
// runtime's, which loads the library. The function it returns closes what was opened, also where
// there is an error.
func open(ctx context.Context, p plan, set images) (
	sides []*side, missing []leftOut, closeAll func(), err error,
) {
	var closers []func() error
	closeAll = func() {
		for _, c := range slices.Backward(closers) {
			_ = c() // the process ends
		}
	}
	native, err := classify.Open(p.model, classify.WithSessions(1))
	if err != nil {
		return nil, nil, closeAll, err
	}
	closers = append(closers, native.Close)
	if in := native.Input(); in.Height != set.height || in.Width != set.width {
		return nil, nil, closeAll, fmt.Errorf("%s takes images of %d×%d, and these are of %d×%d",
			p.model, in.Width, in.Height, set.width, set.height)
	}
	other, err := classify.Open(p.model, classify.WithRuntime(
		func(m *onnx.Model) (classify.Runtime, error) {
			return infer.OpenONNXRuntime(ctx, m,
				infer.ONNXRuntimeOptions{Threads: 1, Device: infer.DeviceCPU})
		}))
	if err != nil {
		return nil, nil, closeAll, err
	}
	closers = append(closers, other.Close)
	hand, err := openByHand(p.model, native.Labels(), set)
	if err != nil {
		return nil, nil, closeAll, fmt.Errorf("onnxruntime_go by hand: %w", err)
	}
	closers = append(closers, hand.session.Destroy)
	info, onnxruntime := native.Info(), other.Info()
	of := func(c *classify.Classifier) subject {
		return inProcess{set.all, func(ctx context.Context, m image.Image) ([]classify.Result, error) {
			return c.Classify(ctx, m)
		}}
	}
	sides = []*side{
		{name: "classify", subject: of(native),
			note: fmt.Sprintf("`classify.Open(%q)`, the native runtime %s (%s)", p.model, info.Version,
				info.Provider)},
		{name: "classify on onnxruntime", subject: of(other),
			note: fmt.Sprintf("`classify.WithRuntime` with `infer.OpenONNXRuntime`, onnxruntime %s, %s",
				onnxruntime.Version, onnxruntime.Provider)},
		{name: "onnxruntime_go by hand", subject: inProcess{set.all, hand.classify},
			note: "an `AdvancedSession` on tensors that are made once, pixels written into them, " +
				"softmax and sorting by hand"},
	}
	if p.data == "" {
		return sides, nil, closeAll, nil
	}
	for i, threads := range []string{"`WithThreads` 1, the default", "`Threads: 1`",
		"one thread within and between operators"} {
		sides[i].note += "; " + threads + ", GOMAXPROCS 1"
	}
	theirs, missing, closeTheirs, err := openHugot(ctx, p, set, native.Labels())
	closers = append(closers, closeTheirs)
	return append(sides, theirs...), missing, closeAll, err
}
