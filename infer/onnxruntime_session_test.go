//go:build cgo

package infer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"slipway/internal/cmemory"
	"slipway/internal/graphmaker"
	"slipway/onnx/onnxpb"
)

// waitForTheEnvironment waits until nothing uses it: a call that was given up goes on until it is
// through, and holds it.
func waitForTheEnvironment() {
	users := func() int {
		ortEnvironment.Lock()
		defer ortEnvironment.Unlock()
		return ortEnvironment.users
	}
	for users() > 0 {
		time.Sleep(10 * time.Millisecond)
	}
}

// What depends on no input is computed while the session is made, where onnxruntime hears nothing:
// limits and an interruption hold there, too.
func TestLimitsOfASession(t *testing.T) {
	needLibrary(t)
	t.Cleanup(waitForTheEnvironment)
	// A square of so many ones from a column and a row.
	filled := func(side int64) *graphmaker.Graph {
		return graphmaker.New(graphmaker.Free, 4).Integers("column", side, 1).Integers("row", 1, side).
			Tensor(&onnxpb.TensorProto{Name: proto.String("all"),
				DataType: proto.Int32(int32(onnxpb.TensorProto_INT64)), Dims: []int64{2},
				Int64Data: []int64{0, 1}}).
			Node("c = ConstantOfShape column").Node("r = ConstantOfShape row").Node("p0 = MatMul c r")
	}
	open := func(ctx context.Context, g *graphmaker.Graph, last string,
		options ONNXRuntimeOptions) error {
		t.Helper()
		model := g.Node("m = ReduceMax "+last+" all", graphmaker.Int("keepdims", 0)).Node("z = Add x m").
			Model()
		if err := model.Check(); err != nil {
			t.Fatal(err)
		}
		options.Device, options.Threads = DeviceCPU, 1
		runtime, err := OpenONNXRuntime(ctx, model, options)
		if err == nil {
			_ = runtime.Close()
		}
		return err
	}
	if _, known := cmemory.Held(); known {
		err := open(t.Context(), filled(16384), "p0", ONNXRuntimeOptions{MemoryLimit: 256 << 20})
		if !errors.Is(err, ErrBatchMemory) || errors.Is(err, context.Canceled) ||
			!strings.Contains(err.Error(), "making a session") {
			t.Errorf("a constant of 1 GiB: %v", err)
		}
	}
	long := filled(2000)
	const products = 60
	for i := range products {
		long.Node(fmt.Sprintf("p%d = MatMul p%d p0", i+1, i))
	}
	last := fmt.Sprintf("p%d", products)
	err := open(t.Context(), long, last, ONNXRuntimeOptions{TimeLimit: 100 * time.Millisecond})
	if !errors.Is(err, ErrTimeLimit) || !strings.Contains(err.Error(), "making a session") {
		t.Errorf("%d constant products: %v", products, err)
	}
}

// A call that is given up goes on, and the last to leave a closed session destroys it.
func TestACallThatIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	goOn, discarded := make(chan struct{}), make(chan int, 1)
	cancel()
	_, err := watched(ctx, 1<<40, "it", func(ctx context.Context) (int, error) {
		<-ctx.Done() // it hears of the end, and does not obey
		<-goOn
		return 7, nil
	}, func(value int) { discarded <- value })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	close(goOn)
	if value := <-discarded; value != 7 {
		t.Errorf("%d is discarded", value)
	}
}

// What ends well, but after its context has ended, is discarded, and an error of its own is told.
func TestACallThatEndsLate(t *testing.T) {
	failure := errors.New("a failure of its own")
	for _, test := range []struct{ fails, want error }{{nil, context.Canceled}, {failure, failure}} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var discarded []int
		value, err := watched(ctx, 1<<40, "it", func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 7, test.fails
		}, func(value int) { discarded = append(discarded, value) })
		var want []int
		if test.fails == nil {
			want = []int{7}
		}
		if !errors.Is(err, test.want) || !slices.Equal(discarded, want) ||
			test.fails == nil && value != 0 {
			t.Errorf("%v: %d, %v, and %v are discarded", test.fails, value, err, discarded)
		}
	}
}

// The last call to leave a session that is closed destroys it, and no call before.
func TestTheLastCallOfAClosedSession(t *testing.T) {
	needLibrary(t)
	waitForTheEnvironment()
	model := graphmaker.New(graphmaker.Free, 4).Node("y = Relu x").Model()
	options := ONNXRuntimeOptions{Device: DeviceCPU, Threads: 1}
	runtime, err := OpenONNXRuntime(t.Context(), model, options)
	if err != nil {
		t.Fatal(err)
	}
	users := func() int {
		ortEnvironment.Lock()
		defer ortEnvironment.Unlock()
		return ortEnvironment.users
	}
	s := runtime.(*onnxRuntime).session
	if err := errors.Join(s.use("a call"), s.use("a call"), runtime.Close()); err != nil {
		t.Fatal(err)
	}
	if err := s.use("a call"); err == nil || !strings.Contains(err.Error(), "a call after Close") {
		t.Errorf("a call after Close: %v", err)
	}
	for left := 1; left >= 0; left-- { // the session is there until none is
		if err := s.release(); err != nil || users() != left {
			t.Errorf("%d calls are left: %v, and %d sessions", left, err, users())
		}
	}
}
