package native

import (
	"slices"
	"testing"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// TestPanicsLeaveNothing: an Evaluator whose operation has panicked, on its caller's thread alone
// or while others compute, answers as before, in as much memory, however often that is so.
func TestPanicsLeaveNothing(t *testing.T) {
	model, err := onnx.Read("../../graphs/e1.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for name, images := range map[string]int{"without a plan": 2, "with a plan": 16} {
		t.Run(name, func(t *testing.T) {
			e, err := New(t.Context(), model, Options{Threads: 2, MemoryLimit: 64 << 20})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			x := pixels(images, e.Inputs()[0].Shape[1:]...)
			want := slices.Clone(answer(t, e, x))
			last := &e.program.steps[len(e.program.steps)-1]
			whole := last.compute
			panicking := func(r *run, in []*Tensor) ([]*Tensor, error) {
				// Memory that nobody but the operation knows of.
				if _, err := r.tensor(onnxpb.TensorProto_FLOAT, []int{1 << 20}); err != nil {
					return nil, err
				}
				began := make(chan struct{})
				r.engine.Pool.Run(4, func(worker, _ int) {
					if worker == 0 {
						close(began)
						panic("an operation's")
					}
					<-began // some item is left for the caller
				})
				return nil, nil
			}
			held := 0
			for round := range 20 {
				last.compute = panicking
				func() {
					defer func() {
						if reason := recover(); reason != "an operation's" {
							t.Fatalf("the panic is %v", reason)
						}
					}()
					out := []*Tensor{{}}
					t.Fatalf("no panic, but %v", e.RunInto(t.Context(), []*Tensor{x}, out))
				}()
				last.compute = whole
				if got := answer(t, e, x); !slices.Equal(got, want) {
					t.Fatalf("after %d panics: %v, want %v", round+1, got, want)
				}
				if round == 0 {
					held = e.Held()
				} else if e.Held() != held {
					t.Fatalf("after %d panics %d bytes are held, %d after one", round+1, e.Held(), held)
				}
			}
		})
	}
}
