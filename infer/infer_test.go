package infer

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/infer/internal/workerproto"
	"slipway/infer/onnxgo"
	"slipway/internal/librarytest"
)

const (
	workerArgument = "onnx-go-worker"
	crashArgument  = "crashing-worker"
)

// TestMain makes the test binary its own onnx-go worker, and one that loads a
// model and panics in a goroutine at the first batch, as onnx-go does at times.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == crashArgument {
		fmt.Print(workerproto.Magic)
		encoder, decoder := gob.NewEncoder(os.Stdout), gob.NewDecoder(os.Stdin)
		var load workerproto.Load
		var images workerproto.Images
		err := errors.Join(
			encoder.Encode(workerproto.Hello{}), decoder.Decode(&load), encoder.Encode(workerproto.Loaded{}),
			decoder.Decode(&images))
		if err == nil {
			go panic("out of a goroutine")
			time.Sleep(time.Minute)
		}
		os.Exit(1)
	}
	if len(os.Args) == 2 && os.Args[1] == workerArgument {
		if err := onnxgo.Serve(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	librarytest.Main(m)
}

func workerCommand() []string { return []string{os.Args[0], workerArgument} }

// needLibrary fails where the onnxruntime library is missing: these are the
// tests that the library and its binding fit together.
func needLibrary(t testing.TB) Library {
	t.Helper()
	if os.Getenv("SLIPWAY_SKIP_ONNXRUNTIME") == "1" {
		t.Skip("SLIPWAY_SKIP_ONNXRUNTIME=1: nothing of onnxruntime is tested")
	}
	library, err := FindLibrary("", false)
	if errors.Is(err, ErrWithoutCgo) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return library
}

func openONNXRuntime(t testing.TB, name string, options ONNXRuntimeOptions) (Runtime, error) {
	t.Helper()
	needLibrary(t)
	model, err := LoadModel(filepath.Join("testdata", name))
	if err != nil {
		return nil, err
	}
	if options.Device == "" {
		options.Device = DeviceCPU
	}
	r, err := OpenONNXRuntime(t.Context(), model, options)
	if err == nil {
		t.Cleanup(func() { r.Close() })
	}
	return r, err
}

func openONNXGo(t testing.TB, name string, options ONNXGoOptions) (Runtime, error) {
	t.Helper()
	model, err := LoadModel(filepath.Join("testdata", name))
	if err != nil {
		return nil, err
	}
	if options.Command == nil {
		options.Command = workerCommand()
	}
	r, err := OpenONNXGo(t.Context(), model, options)
	if err == nil {
		t.Cleanup(func() { r.Close() })
	}
	return r, err
}

// testBatch is the images that make_models.py asked the reference evaluator about.
func testBatch(n int) Batch {
	b := Batch{N: n, C: 1, H: 28, W: 28, Pixels: make([]float32, n*784)}
	for i := range n {
		for j := range 784 {
			b.Pixels[i*784+j] = float32((7*i + 13*j) % 256)
		}
	}
	return b
}

// golden is the ONNX reference evaluator's answer to testBatch(3).
func golden(t testing.TB) Logits {
	t.Helper()
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Logits [][]float32 }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	logits := Logits{N: len(file.Logits), K: len(file.Logits[0])}
	for _, row := range file.Logits {
		logits.Values = append(logits.Values, row...)
	}
	return logits
}

func wantClose(t *testing.T, got, want Logits) {
	t.Helper()
	c, err := Compare(want, got, 1e-5)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Agree() {
		t.Errorf("%s; got %v, want %v", c.Reason(), got.Values, want.Values)
	}
}

func softmax(l Logits) Logits {
	out := Logits{N: l.N, K: l.K}
	for i := range l.N {
		var sum float64
		row := l.Row(i)
		for _, v := range row {
			sum += math.Exp(float64(v - row[l.Label(i)]))
		}
		for _, v := range row {
			out.Values = append(out.Values, float32(math.Exp(float64(v-row[l.Label(i)]))/sum))
		}
	}
	return out
}

func TestModelsOfEachFormAnswerAsTheReference(t *testing.T) {
	eachFormAnswersAsTheReference(t, func(t *testing.T, name string) (Runtime, error) {
		return openONNXRuntime(t, name, ONNXRuntimeOptions{})
	})
}

// eachFormAnswersAsTheReference runs models of every form of input and output,
// files of testdata/, in a runtime.
func eachFormAnswersAsTheReference(t *testing.T, open func(t *testing.T, name string) (Runtime,
	error)) {
	for _, name := range []string{"small", "fixed4", "fixed1", "defaults", "nhwc", "nhw", "flat",
		"uint8", "softmax", "label_and_scores"} {
		t.Run(name, func(t *testing.T) {
			r, err := open(t, name+".onnx")
			if err != nil {
				t.Fatal(err)
			}
			want := golden(t)
			if name == "softmax" {
				want = softmax(want)
			}
			got, err := r.Run(t.Context(), testBatch(3))
			if err != nil {
				t.Fatal(err)
			}
			wantClose(t, got, want)
		})
	}
}

func TestInfoNamesWhatRuns(t *testing.T) {
	library := needLibrary(t)
	r, err := openONNXRuntime(t, "small.onnx", ONNXRuntimeOptions{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	want := Info{Runtime: "onnxruntime", Version: library.Version, Provider: "CPUExecutionProvider",
		Device: "cpu", Threads: 1, Library: library.Path}
	if got := r.Info(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if err := checkVersion(library.Path, library.Version); err != nil {
		t.Error(err)
	}
}

func TestBadModels(t *testing.T) {
	for _, test := range []struct{ name, output, want string }{
		{"text.onnx", "", "not a"},
		{"truncated.onnx", "", "not a whole ONNX model"},
		{"missing.onnx", "", "missing.onnx"},
		{"external_outside.onnx", "", "leads out of the model's folder"},
		{"stride0.onnx", "", "strides"},
		{"two_inputs.onnx", "", "takes 2 inputs"},
		{"two_scores.onnx", "", "-output"},
		{"two_scores.onnx", "nonsense", `no output "nonsense"`},
		{"label_and_scores.onnx", "label", "cannot be the scores"},
		{"zipmap.onnx", "probabilities", "cannot be the scores"},
	} {
		t.Run(test.name+test.output, func(t *testing.T) {
			_, err := openONNXRuntime(t, test.name, ONNXRuntimeOptions{Output: test.output})
			if err == nil || !strings.Contains(err.Error(), test.want) ||
				!strings.Contains(err.Error(), test.name) {
				t.Errorf("%v, want %q and the file's name", err, test.want)
			}
		})
	}
}

func TestOutputByName(t *testing.T) {
	r, err := openONNXRuntime(t, "two_scores.onnx", ONNXRuntimeOptions{Output: "logits"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Run(t.Context(), testBatch(3))
	if err != nil {
		t.Fatal(err)
	}
	wantClose(t, got, golden(t))
}

func TestWrongInputShapeNamesBoth(t *testing.T) {
	r, err := openONNXRuntime(t, "color32.onnx", ONNXRuntimeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Run(t.Context(), testBatch(1))
	if err == nil || !strings.Contains(err.Error(), "N×3×32×32") ||
		!strings.Contains(err.Error(), "1×28×28") {
		t.Errorf("%v, want both shapes", err)
	}
	got, err := r.Run(t.Context(), Batch{N: 2, C: 3, H: 32, W: 32, Pixels: make([]float32, 2*3*32*32)})
	if err != nil || got.N != 2 || got.K != 10 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestUint8InputRefusesScaledPixels(t *testing.T) {
	r, err := openONNXRuntime(t, "uint8.onnx", ONNXRuntimeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, pixel := range []float32{0.5, -1, 256, float32(math.NaN())} {
		batch := testBatch(1)
		batch.Pixels[100] = pixel
		if _, err := r.Run(t.Context(), batch); err == nil || !strings.Contains(err.Error(), "unscaled") {
			t.Errorf("pixel %g: %v", pixel, err)
		}
	}
}

func TestRunAfterCloseAndBadBatches(t *testing.T) {
	ort, err := openONNXRuntime(t, "small.onnx", ONNXRuntimeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	gorgonia, err := openONNXGo(t, "small.onnx", ONNXGoOptions{Batch: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []Runtime{ort, gorgonia} {
		for _, bad := range []Batch{{}, {N: 1, C: 1, H: 28, W: 28},
			{N: -1, C: -1, H: 28, W: 28, Pixels: make([]float32, 784)}} {
			if _, err := r.Run(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "pixels") {
				t.Errorf("%s: batch %v: %v", r.Info().Runtime, bad.N, err)
			}
		}
		if err := errors.Join(r.Close(), r.Close()); err != nil {
			t.Error(err)
		}
		if _, err := r.Run(t.Context(), testBatch(1)); err == nil ||
			!strings.Contains(err.Error(), "after Close") {
			t.Errorf("%s: %v, want an error after Close", r.Info().Runtime, err)
		}
	}
}

func TestCancelledRunEnds(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) (Runtime, error){
		"onnxruntime": func(t *testing.T) (Runtime, error) {
			return openONNXRuntime(t, "small.onnx", ONNXRuntimeOptions{})
		},
		"onnx-go": func(t *testing.T) (Runtime, error) {
			return openONNXGo(t, "small.onnx", ONNXGoOptions{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := open(t)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			batch := testBatch(64)
			for err == nil {
				_, err = r.Run(ctx, batch)
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v, want the context's error", err)
			}
		})
	}
}
