package serve

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"slipway/infer"
)

// A divided runtime notes in which session a batch is computed, and how many are at the same time.
// Its scores are an image's first pixel.
type divided struct {
	whole   *divided // nil of the whole itself
	threads int
	held    int
	shared  int           // of held, what a new session holds too
	gate    chan struct{} // each run takes one
	closed  bool

	mu        sync.Mutex
	computing []*divided // at this moment
	ran       []int      // the threads of each run that began
	most      int        // runs at the same time
	beside    bool       // the whole was not alone
}

func (d *divided) Info() infer.Info { return infer.Info{Threads: d.threads} }
func (d *divided) Held() int        { return d.held }

func (d *divided) Close() error {
	d.closed = true
	return nil
}

func (d *divided) Session(threads int) infer.Runtime {
	return &divided{whole: d, threads: threads, held: d.shared, shared: d.shared}
}

func (d *divided) Run(ctx context.Context, batch infer.Batch) (infer.Logits, error) {
	whole := d
	if d.whole != nil {
		whole = d.whole
	}
	whole.mu.Lock()
	whole.computing = append(whole.computing, d)
	whole.ran = append(whole.ran, d.threads)
	whole.most = max(whole.most, len(whole.computing))
	whole.beside = whole.beside || len(whole.computing) > 1 && slices.Contains(whole.computing, whole)
	whole.mu.Unlock()
	defer func() {
		whole.mu.Lock()
		defer whole.mu.Unlock()
		at := slices.Index(whole.computing, d)
		whole.computing = slices.Delete(whole.computing, at, at+1)
	}()
	select {
	case <-whole.gate:
	case <-ctx.Done():
		return infer.Logits{}, ctx.Err()
	}
	return infer.Logits{N: batch.N, K: 1, Values: slices.Clone(batch.Pixels)}, nil
}

// waitFor waits until so many runs have begun.
func (d *divided) waitFor(t *testing.T, runs int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		d.mu.Lock()
		begun := len(d.ran)
		d.mu.Unlock()
		if begun == runs {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d runs have begun, want %d", begun, runs)
		}
	}
}

// One batch has all threads. Those that wait behind it are computed at the same time, on some
// threads each, and not beside one that has all.
func TestBatchesThatWaitShareOutTheThreads(t *testing.T) {
	runtime := &divided{threads: 3, held: 1, gate: make(chan struct{})}
	b := &batcher{runtime: runtime, lanes: lanesOf(runtime, 1, 4), most: 4, join: true,
		observe: func(int, time.Duration) {}}
	b.start(16)
	var group sync.WaitGroup
	ask := func(value float32) {
		group.Go(func() {
			scores, err := b.run(t.Context(), image(value, value, value, value))
			if err != nil || !slices.Equal(scores.Values, []float32{value, value, value, value}) {
				t.Errorf("%v, %v; want four times %v", scores.Values, err, value)
			}
		})
	}
	ask(1)
	runtime.waitFor(t, 1)
	for value := range 5 {
		before := len(b.jobs)
		ask(float32(value))
		for len(b.jobs) == before {
			time.Sleep(time.Millisecond)
		}
	}
	runtime.gate <- struct{}{}
	runtime.waitFor(t, 4) // three in lanes, none of which has ended
	close(runtime.gate)
	group.Wait()
	ask(7)
	group.Wait()
	b.close()
	// The last of the five has all threads where the others had ended.
	if ran := runtime.ran; !slices.Equal(ran[:5], []int{3, 1, 1, 1, 1}) || ran[6] != 3 {
		t.Errorf("batches on %v threads, want 3, then 1 each while others wait, then 3", ran)
	}
	if runtime.most != 3 || runtime.beside {
		t.Errorf("%d batches at the same time; one beside the whole: %v", runtime.most, runtime.beside)
	}
}

// Where most lanes would be idle, batches have all threads, one after the other: also once the lanes
// were full.
func TestFewBatchesHaveAllThreads(t *testing.T) {
	runtime := &divided{threads: 8, held: 1, gate: make(chan struct{})}
	b := &batcher{runtime: runtime, lanes: lanesOf(runtime, 1, 4), most: 4, join: true,
		observe: func(int, time.Duration) {}}
	b.start(16)
	var group sync.WaitGroup
	ask := func(count int) {
		for range count {
			before := len(b.jobs)
			group.Go(func() {
				if _, err := b.run(t.Context(), image(1, 1, 1, 1)); err != nil {
					t.Error(err)
				}
			})
			for len(b.jobs) == before {
				time.Sleep(time.Millisecond)
			}
		}
	}
	group.Go(func() {
		if _, err := b.run(t.Context(), image(1)); err != nil {
			t.Error(err)
		}
	})
	runtime.waitFor(t, 1)
	ask(3)
	for runs := 2; runs <= 4; runs++ {
		runtime.gate <- struct{}{}
		runtime.waitFor(t, runs)
	}
	ask(9)
	runtime.gate <- struct{}{}
	runtime.waitFor(t, 12) // eight in lanes: the ninth waits
	close(runtime.gate)
	group.Wait()
	b.close()
	want := []int{8, 8, 8, 8, 1, 1, 1, 1, 1, 1, 1, 1}
	if !slices.Equal(runtime.ran[:len(want)], want) || runtime.beside {
		t.Errorf("batches on %v threads, want %v; one beside the whole: %v", runtime.ran, want,
			runtime.beside)
	}
}

// Weights that all sessions share take no memory of a lane's.
func TestLanesShareWeights(t *testing.T) {
	of := &divided{threads: 4, held: lanesMemory + 4, shared: lanesMemory}
	if lanes := lanesOf(of, 4, 64); len(lanes) != 4 {
		t.Errorf("%d lanes, want 4", len(lanes))
	}
}

// Where requests are not joined, one of any number of images is a batch, for which one runtime at
// most takes memory.
func TestLanesNeedBatchesOfBoundedSize(t *testing.T) {
	for most, want := range map[int]int{1: 0, 16: 3} {
		config, err := Config{Models: []string{"../../graphs/e1.onnx"}, MaxBatch: most,
			RuntimeOptions: infer.RuntimeOptions{Threads: 3}}.complete()
		if err != nil {
			t.Fatal(err)
		}
		l := &loader{config: config, metrics: newMetrics(&budget{}, &budget{}, &budget{})}
		v, err := l.load(t.Context(), "e1", "1", config.Models[0])
		if err != nil {
			t.Fatal(err)
		}
		if got := len(v.batcher.lanes); got != want {
			t.Errorf("%d images a batch: %d lanes, want %d", most, got, want)
		}
		v.references.end()
	}
}

// Lanes have a thread at least, share out all, and fit their memory together.
func TestLanesByThreadsAndMemory(t *testing.T) {
	for _, test := range []struct {
		threads, held int
		want          []int
	}{
		{1, 1, nil}, {2, 1, []int{1, 1}}, {4, 1, []int{1, 1, 1, 1}},
		{4, lanesMemory/2 + 64, nil}, {4, lanesMemory / 2, []int{2, 2}},
		{5, lanesMemory / 3, []int{2, 2, 1}}, {4, 0, []int{1, 1, 1, 1}},
	} {
		var got []int
		lanes := lanesOf(&divided{threads: test.threads, held: test.held / 16}, 4, 64)
		for _, lane := range lanes {
			got = append(got, lane.Info().Threads)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%d threads, %d bytes a batch: lanes of %v threads, want %v", test.threads, test.held,
				got, test.want)
		}
		if err := closeAll(lanes); err != nil {
			t.Error(err)
		}
		for _, lane := range lanes {
			if !lane.(*divided).closed {
				t.Error("a lane is open")
			}
		}
	}
	if lanes := lanesOf(&scripted{}, 4, 64); lanes != nil {
		t.Errorf("%d lanes of a runtime that has no sessions", len(lanes))
	}
}
