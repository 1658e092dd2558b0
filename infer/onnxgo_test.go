package infer

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	g "slipway/internal/graphmaker"
	"slipway/onnx"
)

func TestONNXGoAnswersAsTheReference(t *testing.T) {
	for _, name := range []string{"small", "fixed4", "fixed1", "defaults", "softmax"} {
		t.Run(name, func(t *testing.T) {
			r, err := openONNXGo(t, name+".onnx", ONNXGoOptions{Batch: 2, Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			want := golden(t)
			if name == "softmax" {
				want = softmax(want)
			}
			for range 3 { // onnx-go's mistakes show in the second run
				got, err := r.Run(t.Context(), testBatch(3))
				if err != nil {
					t.Fatal(err)
				}
				wantClose(t, got, want)
			}
		})
	}
}

// TestONNXGoSpreadsABatch compares the answers of one worker with those of three, of which each
// gets some of nine pieces.
func TestONNXGoSpreadsABatch(t *testing.T) {
	images := testBatch(17)
	var answers [2]Logits
	for i, threads := range []int{1, 3} {
		r, err := openONNXGo(t, "small.onnx", ONNXGoOptions{Batch: 2, Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		if answers[i], err = r.Run(t.Context(), images); err != nil {
			t.Fatal(err)
		}
		if workers := len(r.(*onnxGo).workers); workers != threads {
			t.Errorf("%d workers, want %d", workers, threads)
		}
	}
	if answers[0].N != 17 || !slices.Equal(answers[0].Values, answers[1].Values) {
		t.Errorf("three workers answer %v, one %v", answers[1], answers[0])
	}
}

func TestONNXGoRefusesWhatItComputesWrongly(t *testing.T) {
	for name, want := range map[string]string{
		"nhwc":             "Transpose",
		"flat":             "Reshape",
		"uint8":            "float32 images",
		"nan":              "Mul",
		"label_and_scores": "ArgMax",
	} {
		_, err := openONNXGo(t, name+".onnx", ONNXGoOptions{})
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want ErrUnsupported with %q", name, err, want)
		}
	}
}

func TestONNXGoCrashIsAnError(t *testing.T) {
	r, err := openONNXGo(t, "small.onnx", ONNXGoOptions{Command: []string{os.Args[0], crashArgument},
		Batch: 2})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second asks a worker that is gone
		_, err = r.Run(t.Context(), testBatch(2))
		if err == nil || !strings.Contains(err.Error(), "onnx-go crashed: panic: out of a goroutine") {
			t.Errorf("%v, want the panic's first line", err)
		}
	}
}

func TestWorkerThatIsNone(t *testing.T) {
	for name, test := range map[string]struct {
		command []string
		want    string
	}{
		"missing": {[]string{"/nonexistent/worker"}, "no such file"},
		"crashing": {[]string{"sh", "-c", "echo noise >&2; echo 'panic: boom' >&2; exit 3"},
			"panic: boom"},
		"silent": {[]string{"sh", "-c", "exit 3"}, "exit status 3"},
		"chatty": {[]string{"sh", "-c", "echo hello, I am no worker; cat >/dev/null"},
			"is no onnx-go worker"},
		"none": {[]string{}, "no worker command"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := openONNXGo(t, "small.onnx", ONNXGoOptions{Command: test.command})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	model, err := LoadModel("testdata/small.onnx")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenONNXGo(ctx, model,
		ONNXGoOptions{Command: []string{"sh", "-c", "cat >/dev/null"}}); !errors.Is(err,
		context.DeadlineExceeded) {
		t.Errorf("a worker that says nothing: %v, want the context's error", err)
	}
}

// Images of several channels, first or last, and a single score are answered as in native.
func TestONNXGoAnswersAsNative(t *testing.T) {
	for name, model := range map[string]*onnx.Model{
		"channels first": g.New(g.Free, 3, 2, 2).Node("f = Flatten x").Dense("f", 12).Model(),
		"channels last":  g.New(g.Free, 2, 2, 3).Node("f = Flatten x").Dense("f", 12).Model(),
		"one score": g.New(g.Free, 3, 2, 2).Node("f = Flatten x").Weight("w", -1, 1, 12,
			1).Weight("b", -1, 1, 1).
			Node("z = Gemm f w b").Node("p = Sigmoid z").Model(),
	} {
		batch := Batch{N: 3, C: 3, H: 2, W: 2, Pixels: make([]float32, 36)}
		for i := range batch.Pixels {
			batch.Pixels[i] = float32(i*i%17) / 17
		}
		var answers [2]Logits
		for i, runtime := range []string{RuntimeNative, RuntimeONNXGo} {
			r, err := OpenRuntime(t.Context(), runtime, model,
				RuntimeOptions{Worker: workerCommand()})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			defer r.Close()
			if answers[i], err = r.Run(t.Context(), batch); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		wantNear(t, name, answers[0].Values, answers[1].Values)
	}
}

// A closed worker is no process any more, not even one that nobody waited for.
func TestONNXGoWorkersAreWaitedFor(t *testing.T) {
	r, err := openONNXGo(t, "small.onnx", ONNXGoOptions{Batch: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for _, worker := range r.(*onnxGo).workers {
		if worker.process.ProcessState == nil {
			t.Error("a worker that was not waited for")
		}
	}
}

func TestFirstWordsOfAWorker(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "\n \n one \ntwo\n": "one", "noise\npanic: boom\nmore": "panic: boom",
		"a\nfatal error: b": "fatal error: b",
	} {
		if got := firstWords(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	head := &headBuffer{limit: 5}
	for _, text := range []string{"abc", "defg", "h"} {
		if n, err := head.Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("%d of %q (%v)", n, text, err)
		}
	}
	if head.String() != "abcde" {
		t.Errorf("%q is kept", head.String())
	}
}
