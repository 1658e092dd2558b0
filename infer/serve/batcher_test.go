package serve

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"slipway/infer"
)

// A scripted runtime does what no sound one can be made to: it panics, fails and waits. Its scores
// are an image's first pixel.
type scripted struct {
	runs  atomic.Int64
	gate  chan struct{} // if not nil, each run takes one
	sizes []int
}

const (
	pixelPanics = 13
	pixelFails  = 14
)

func (r *scripted) Info() infer.Info { return infer.Info{Runtime: "scripted"} }

func (r *scripted) Close() error { return nil }

func (r *scripted) Run(ctx context.Context, batch infer.Batch) (infer.Logits, error) {
	r.runs.Add(1)
	if r.gate != nil {
		select {
		case <-r.gate:
		case <-ctx.Done():
			return infer.Logits{}, ctx.Err()
		}
	}
	r.sizes = append(r.sizes, batch.N)
	scores := infer.Logits{N: batch.N, K: 1}
	for i := range batch.N {
		switch pixel := batch.Pixels[i*batch.C*batch.H*batch.W]; pixel {
		case pixelPanics:
			panic("an unlucky number")
		case pixelFails:
			return infer.Logits{}, errors.New("no such image")
		default:
			scores.Values = append(scores.Values, pixel)
		}
	}
	return scores, nil
}

func newBatcher(t *testing.T, runtime *scripted, queue int) (*batcher, *atomic.Int64) {
	var panics atomic.Int64
	b := &batcher{runtime: runtime, most: 4, join: true,
		observe: func(int, time.Duration) {}, panicked: func(any, []byte) { panics.Add(1) }}
	b.start(queue)
	t.Cleanup(b.close)
	return b, &panics
}

func image(pixels ...float32) infer.Batch {
	return infer.Batch{N: len(pixels), C: 1, H: 1, W: 1, Pixels: pixels}
}

// waiting gives requests to a batcher that is busy, so that they wait together, and returns their
// outcomes once it goes on.
func waiting(t *testing.T, b *batcher, runtime *scripted, requests ...infer.Batch) []outcome {
	t.Helper()
	first := make(chan outcome, 1)
	go func() {
		scores, err := b.run(t.Context(), image(0))
		first <- outcome{scores, err}
	}()
	for runtime.runs.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	outcomes := make([]chan outcome, len(requests))
	for i, request := range requests {
		outcomes[i] = make(chan outcome, 1)
		before := len(b.jobs)
		go func() {
			scores, err := b.run(t.Context(), request)
			outcomes[i] <- outcome{scores, err}
		}()
		for len(b.jobs) == before {
			time.Sleep(time.Millisecond)
		}
	}
	close(runtime.gate)
	<-first
	var all []outcome
	for _, o := range outcomes {
		all = append(all, <-o)
	}
	return all
}

// Requests that wait share batches, as far as those go and images are of one size.
func TestRequestsShareBatches(t *testing.T) {
	runtime := &scripted{gate: make(chan struct{})}
	b, _ := newBatcher(t, runtime, 8)
	wide := infer.Batch{N: 1, C: 1, H: 1, W: 2, Pixels: []float32{9, 9}}
	got := waiting(t, b, runtime, image(1), image(2, 3), image(4, 5), image(6), wide, image(7))
	for i, want := range [][]float32{{1}, {2, 3}, {4, 5}, {6}, {9}, {7}} {
		if got[i].err != nil || !slices.Equal(got[i].scores.Values, want) {
			t.Errorf("request %d: %+v, want %v", i, got[i], want)
		}
	}
	if want := []int{1, 3, 3, 1, 1}; !slices.Equal(runtime.sizes, want) {
		t.Errorf("batches of %v, want %v", runtime.sizes, want)
	}
}

// One request that the runtime panics on, or refuses, fails alone.
func TestABadRequestFailsAlone(t *testing.T) {
	runtime := &scripted{gate: make(chan struct{})}
	b, panics := newBatcher(t, runtime, 8)
	got := waiting(t, b, runtime, image(1), image(pixelPanics), image(2), image(pixelFails), image(3))
	for i, want := range []string{"", "panicked: an unlucky number", "", "no such image", ""} {
		switch {
		case want == "" && (got[i].err != nil || len(got[i].scores.Values) != 1):
			t.Errorf("request %d: %v", i, got[i].err)
		case want != "" && (got[i].err == nil || !strings.Contains(got[i].err.Error(), want)):
			t.Errorf("request %d: %v, want %s", i, got[i].err, want)
		}
	}
	if panics.Load() != 2 { // beside others, and alone
		t.Errorf("%d panics are told", panics.Load())
	}
	if p, own := told(got[1].err); p.status != 500 || p.text != internalText || !own {
		t.Errorf("%+v", p)
	}
}

// A request whose client has left is not computed, and a batch whose clients all have is ended.
func TestNobodyIsComputedFor(t *testing.T) {
	runtime := &scripted{gate: make(chan struct{})}
	b, _ := newBatcher(t, runtime, 8)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 3)
	ask := func() {
		_, err := b.run(ctx, image(1))
		left <- err
	}
	// One is being computed before the others ask: what asks before the run
	// begins is taken into its batch.
	go ask()
	for runtime.runs.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	go ask()
	go ask()
	for len(b.jobs) < 2 {
		time.Sleep(time.Millisecond)
	}
	leave()
	for range 3 {
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	// The first run ended without the gate, and nobody else's began.
	close(runtime.gate)
	if scores, err := b.run(t.Context(), image(5)); err != nil || scores.Values[0] != 5 {
		t.Errorf("%v, %v", scores, err)
	}
	if !slices.Equal(runtime.sizes, []int{1}) {
		t.Errorf("%v were computed", runtime.sizes)
	}
}

// A full queue is an error at once.
func TestAFullQueue(t *testing.T) {
	runtime := &scripted{gate: make(chan struct{})}
	b, _ := newBatcher(t, runtime, 1)
	done := make(chan error, 2)
	ask := func() {
		_, err := b.run(t.Context(), image(1))
		done <- err
	}
	go ask()
	for runtime.runs.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	go ask()
	for len(b.jobs) == 0 {
		time.Sleep(time.Millisecond)
	}
	_, err := b.run(t.Context(), image(1))
	if p, _ := told(err); p.status != 503 || p.reason != "queue" {
		t.Errorf("%v", err)
	}
	close(runtime.gate)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// What is retired ends once, when nobody uses it, and nobody begins to.
func TestReferences(t *testing.T) {
	ends := 0
	r := &references{end: func() { ends++ }}
	for range 2 {
		if !r.acquire() {
			t.Fatal("it cannot be used")
		}
	}
	r.release()
	r.retire()
	if r.acquire() || ends != 0 {
		t.Errorf("ended %d times while it is used", ends)
	}
	r.release()
	r.retire()
	if ends != 1 {
		t.Errorf("ended %d times", ends)
	}
}

// A countdown is a context that ends once it was asked so often whether it has.
type countdown struct {
	context.Context
	left atomic.Int64
}

func (c *countdown) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// Whenever the context ends while models are loaded, New returns, and leaves nothing open.
func TestNewIsEndedWhileItLoads(t *testing.T) {
	ended, begun := 0, 0
	for left := range 24 {
		ctx := &countdown{Context: t.Context()}
		ctx.left.Store(int64(left))
		s, err := New(ctx, Config{Models: []string{"../testdata/small.onnx", "../testdata/flat.onnx"}})
		switch {
		case err == nil:
			begun++
			s.Close()
		case errors.Is(err, context.Canceled):
			ended++
		default:
			t.Error(err)
		}
	}
	if ended == 0 {
		t.Errorf("%d were ended, %d begun", ended, begun)
	}
}

// A panic of a handler is an answer, and the next request is answered.
func TestAHandlerThatPanics(t *testing.T) {
	s, err := New(t.Context(), Config{Models: []string{"../testdata/small.onnx"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	handler := s.endpoint("test", func(http.ResponseWriter, *http.Request) error { panic("oh") })
	response := httptest.NewRecorder()
	handler.ServeHTTP(response, httptest.NewRequest("GET", "/", nil))
	if response.Code != http.StatusInternalServerError ||
		!strings.Contains(response.Body.String(), internalText) {
		t.Errorf("%d %s", response.Code, response.Body)
	}
	response = httptest.NewRecorder()
	s.Handler().ServeHTTP(response, httptest.NewRequest("GET", "/v2/models/small", nil))
	if response.Code != http.StatusOK {
		t.Errorf("%d %s", response.Code, response.Body)
	}
	_, err = s.interceptRequest(t.Context(), nil, &grpc.UnaryServerInfo{},
		func(context.Context, any) (any, error) { panic("oh") })
	if status.Code(err) != codes.Internal {
		t.Error(err)
	}
}
