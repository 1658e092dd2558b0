package infer

import (
	"bufio"
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"slipway/infer/internal/workerproto"
	"slipway/onnx"
)

const (
	// onnxGoBatch is the batch size for models that leave it open. Larger ones
	// are slower: what one operator writes no longer fits the cache for the next.
	onnxGoBatch = 8
	// A worker that has not said hello by then is another program.
	helloTimeout = 30 * time.Second
	// What of the worker's standard error is kept; a panic's first line comes early.
	maxStderr = 64 << 10
)

// ONNXGoOptions are the choices for OpenONNXGo.
type ONNXGoOptions struct {
	// Command runs a program that calls onnxgo.Serve on its standard input and
	// output: often the same program with an argument of its own.
	Command []string
	// Batch is the graph's batch size, at least 2, for a model that leaves it
	// open; 0 for the default, 8.
	Batch int
	// Threads of the worker; 0 for as many as Go would use.
	Threads int
	// Output names the score output of a model with several.
	Output string
}

// OpenONNXGo opens a model, which is of LoadModel or checked, in onnx-go on
// Gorgonia. It runs in a process of its own, since onnx-go panics where no
// recover catches it; its end is then Run's error. Of a model with an open
// batch dimension a graph of a fixed batch size is made.
//
// A model that onnx-go is known to compute wrongly is refused, by ErrUnsupported.
func OpenONNXGo(ctx context.Context, model *onnx.Model, options ONNXGoOptions) (Runtime, error) {
	if len(options.Command) == 0 {
		return nil, errors.New("onnx-go: no worker command is given")
	}
	if options.Threads < 0 {
		return nil, fmt.Errorf("threads %d: at least 1 is needed, or 0 for the default", options.Threads)
	}
	if options.Threads == 0 {
		options.Threads = runtime.GOMAXPROCS(0)
	}
	if options.Batch == 0 {
		options.Batch = onnxGoBatch
	}
	ports, err := findPorts(model.Proto.GetGraph(), options.Output)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", model.Path(), err)
	}
	return startOnnxGo(ctx, model, ports, options)
}

// startOnnxGo starts a worker on the model, whose ports are known and whose
// options are filled in.
func startOnnxGo(ctx context.Context, model *onnx.Model, ports ports, options ONNXGoOptions) (Runtime, error) {
	encoded, input, err := onnxGoModel(model, ports, options.Batch)
	if err != nil {
		return nil, unsupportedError{fmt.Errorf("%s: onnx-go does not support the model: %w", model.Path(), err)}
	}
	r := &onnxGo{model: model.Path(), source: model, options: options, ports: ports, input: input}
	if err := r.start(options); err != nil {
		return nil, err
	}
	if err := r.load(ctx, encoded); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

type onnxGo struct {
	model   string
	source  *onnx.Model
	options ONNXGoOptions
	ports   ports
	input   []int // the graph's input shape
	info    Info

	mu      sync.Mutex // one batch at a time
	process *exec.Cmd
	stdin   io.WriteCloser
	stdout  *bufio.Reader
	stderr  *headBuffer
	encoder *gob.Encoder
	decoder *gob.Decoder
	ended   error // why the worker can no longer be asked
}

func (r *onnxGo) Info() Info { return r.info }

func (r *onnxGo) start(options ONNXGoOptions) error {
	r.process = exec.Command(options.Command[0], options.Command[1:]...)
	r.process.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", options.Threads))
	r.stderr = &headBuffer{limit: maxStderr}
	r.process.Stderr = r.stderr
	// A grandchild that keeps standard error open must not keep Wait.
	r.process.WaitDelay = time.Second
	stdin, err := r.process.StdinPipe()
	if err != nil {
		return fmt.Errorf("onnx-go worker: %w", err)
	}
	stdout, err := r.process.StdoutPipe()
	if err != nil {
		return fmt.Errorf("onnx-go worker: %w", err)
	}
	if err := r.process.Start(); err != nil {
		return fmt.Errorf("onnx-go worker: %w", err)
	}
	r.stdin, r.encoder = stdin, gob.NewEncoder(stdin)
	r.stdout = bufio.NewReader(stdout)
	// The decoder reads from a bufio.Reader no further than it decodes.
	r.decoder = gob.NewDecoder(r.stdout)
	r.info = Info{Runtime: RuntimeONNXGo, Provider: "Gorgonia", Device: "cpu", Threads: options.Threads}
	return nil
}

func (r *onnxGo) load(ctx context.Context, encoded []byte) error {
	helloCtx, cancel := context.WithTimeoutCause(ctx, helloTimeout,
		fmt.Errorf("%s has not answered for %v: it is no onnx-go worker", r.process.Path, helloTimeout))
	defer cancel()
	var hello workerproto.Hello
	err := r.ask(helloCtx, func() error {
		if err := r.readMagic(); err != nil {
			return err
		}
		return r.decoder.Decode(&hello)
	})
	if err != nil {
		return err
	}
	r.info.Version = hello.Version
	var loaded workerproto.Loaded
	err = r.ask(ctx, func() error {
		if err := r.encoder.Encode(workerproto.Load{Model: encoded, Input: r.input}); err != nil {
			return err
		}
		return r.decoder.Decode(&loaded)
	})
	if err == nil && loaded.Error != "" {
		err = unsupportedError{fmt.Errorf("%s: onnx-go does not support the model: %s", r.model, loaded.Error)}
	}
	return err
}

// readMagic reads byte by byte: another program may say less than Magic and wait.
func (r *onnxGo) readMagic() error {
	for i := range len(workerproto.Magic) {
		b, err := r.stdout.ReadByte()
		if err != nil {
			return err
		}
		if b != workerproto.Magic[i] {
			return fmt.Errorf("%s is no onnx-go worker of this version", r.process.Path)
		}
	}
	return nil
}

// ask does one exchange with the worker and ends the worker when ctx ends or
// the exchange fails.
func (r *onnxGo) ask(ctx context.Context, exchange func() error) error {
	if r.ended != nil {
		return r.ended
	}
	stop := context.AfterFunc(ctx, func() { _ = r.process.Process.Kill() })
	err := exchange()
	if !stop() || ctx.Err() != nil {
		err = ended(ctx)
	} else if err != nil {
		err = r.crash(err)
	}
	if err != nil {
		r.end(err)
	}
	return err
}

// crash says why the worker ended: its first words on standard error, which for
// a panic are the panic.
func (r *onnxGo) crash(cause error) error {
	_ = r.stdin.Close()
	_ = r.process.Process.Kill()
	wait := r.process.Wait()
	if line := firstWords(r.stderr.String()); line != "" {
		return fmt.Errorf("%s: onnx-go crashed: %s", r.model, line)
	}
	return fmt.Errorf("%s: the onnx-go worker ended: %w", r.model, errors.Join(cause, wait))
}

func (r *onnxGo) end(reason error) {
	_ = r.stdin.Close()
	_ = r.process.Process.Kill()
	if r.process.ProcessState == nil {
		_ = r.process.Wait()
	}
	r.ended = reason
}

func (r *onnxGo) Run(ctx context.Context, batch Batch) (Logits, error) {
	layout, err := r.ports.layoutOf(batch, r.model)
	if err != nil {
		return Logits{}, err
	}
	if layout == channelsLast && batch.C > 1 {
		batch.Pixels = toChannelsLast(batch)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return runInChunks(ctx, batch, r.input[0], func(chunk Batch) (Logits, error) {
		var scores workerproto.Scores
		err := r.ask(ctx, func() error {
			if err := r.encoder.Encode(workerproto.Images{Pixels: chunk.Pixels}); err != nil {
				return err
			}
			return r.decoder.Decode(&scores)
		})
		if err != nil {
			return Logits{}, err
		}
		if scores.Error != "" {
			return Logits{}, fmt.Errorf("%s: onnx-go: %s", r.model, scores.Error)
		}
		if scores.K < 1 || len(scores.Values) != chunk.N*scores.K {
			return Logits{}, fmt.Errorf("%s: onnx-go answered %d scores of %d classes for %d images", r.model, len(scores.Values), scores.K, chunk.N)
		}
		return Logits{N: chunk.N, K: scores.K, Values: scores.Values}, nil
	})
}

// Close ends the worker: it leaves at the end of its input, and is killed when
// it does not.
func (r *onnxGo) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended == nil {
		r.end(errors.New("onnx-go: Run after Close"))
	}
	return nil
}

// firstWords returns the line that tells most: a panic's or a fatal error's
// first, else the first that is not empty.
func firstWords(text string) string {
	var first string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") {
			return line
		}
		if first == "" {
			first = line
		}
	}
	return first
}

// headBuffer keeps the first limit bytes written to it and drops the others.
type headBuffer struct {
	limit int
	mu    sync.Mutex
	kept  bytes.Buffer
}

func (b *headBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept.Write(p[:min(len(p), b.limit-b.kept.Len())])
	return len(p), nil
}

func (b *headBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.kept.String()
}
