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
	"strings"
	"sync"
	"time"

	"slipway/infer/internal/workerproto"
	"slipway/infer/port"
)

const (
	// A worker that has not said hello by then is another program.
	helloTimeout = 30 * time.Second
	// What of the worker's standard error is kept; a panic's first line comes early.
	maxStderr = 64 << 10
)

// onnxGoWorker is a process that has loaded a model.
type onnxGoWorker struct {
	model   string // its file, for errors
	version string
	process *exec.Cmd
	stdin   io.WriteCloser
	stdout  *bufio.Reader
	stderr  *headBuffer
	encoder *gob.Encoder
	decoder *gob.Decoder
	ended   error // why the worker can no longer be asked
}

// startOnnxGoWorker starts the command and has it load the model of that file.
func startOnnxGoWorker(ctx context.Context, command []string, model string, encoded []byte,
	input []int) (*onnxGoWorker, error) {
	w := &onnxGoWorker{model: model}
	if err := w.start(command); err != nil {
		return nil, fmt.Errorf("onnx-go worker: %w", err)
	}
	if err := w.load(ctx, encoded, input); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *onnxGoWorker) start(command []string) error {
	w.process = exec.Command(command[0], command[1:]...)
	w.process.Env = append(os.Environ(), "GOMAXPROCS=1")
	w.stderr = &headBuffer{limit: maxStderr}
	w.process.Stderr = w.stderr
	// A grandchild that keeps standard error open must not keep Wait.
	w.process.WaitDelay = time.Second
	stdin, err := w.process.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := w.process.StdoutPipe()
	if err != nil {
		return err
	}
	if err := w.process.Start(); err != nil {
		return err
	}
	w.stdin, w.encoder = stdin, gob.NewEncoder(stdin)
	w.stdout = bufio.NewReader(stdout)
	// The decoder reads from a bufio.Reader no further than it decodes.
	w.decoder = gob.NewDecoder(w.stdout)
	return nil
}

func (w *onnxGoWorker) load(ctx context.Context, encoded []byte, input []int) error {
	helloCtx, cancel := context.WithTimeoutCause(ctx, helloTimeout,
		fmt.Errorf("%s has not answered for %v: it is no onnx-go worker", w.process.Path, helloTimeout))
	defer cancel()
	var hello workerproto.Hello
	err := w.ask(helloCtx, func() error {
		if err := w.readMagic(); err != nil {
			return err
		}
		return w.decoder.Decode(&hello)
	})
	if err != nil {
		return err
	}
	w.version = hello.Version
	var loaded workerproto.Loaded
	err = w.ask(ctx, func() error {
		if err := w.encoder.Encode(workerproto.Load{Model: encoded, Input: input}); err != nil {
			return err
		}
		return w.decoder.Decode(&loaded)
	})
	if err == nil && loaded.Error != "" {
		err = port.Unsupported{Reason: fmt.Errorf("%s: onnx-go does not support the model: %s", w.model,
			loaded.Error)}
	}
	return err
}

// run asks for the scores of a batch of the graph's size.
func (w *onnxGoWorker) run(ctx context.Context, batch Batch) (Logits, error) {
	var scores workerproto.Scores
	err := w.ask(ctx, func() error {
		if err := w.encoder.Encode(workerproto.Images{Pixels: batch.Pixels}); err != nil {
			return err
		}
		return w.decoder.Decode(&scores)
	})
	if err != nil {
		return Logits{}, err
	}
	if scores.Error != "" {
		return Logits{}, fmt.Errorf("%s: onnx-go: %s", w.model, scores.Error)
	}
	if scores.K < 1 || len(scores.Values) != batch.N*scores.K {
		return Logits{}, fmt.Errorf("%s: onnx-go answered %d scores of %d classes for %d images", w.model,
			len(scores.Values), scores.K, batch.N)
	}
	return Logits{N: batch.N, K: scores.K, Values: scores.Values}, nil
}

// readMagic reads byte by byte: another program may say less than Magic and wait.
func (w *onnxGoWorker) readMagic() error {
	for i := range len(workerproto.Magic) {
		b, err := w.stdout.ReadByte()
		if err != nil {
			return err
		}
		if b != workerproto.Magic[i] {
			return fmt.Errorf("%s is no onnx-go worker of this version", w.process.Path)
		}
	}
	return nil
}

// ask does one exchange with the worker and ends the worker when ctx ends or
// the exchange fails.
func (w *onnxGoWorker) ask(ctx context.Context, exchange func() error) error {
	if w.ended != nil {
		return w.ended
	}
	stop := context.AfterFunc(ctx, func() { _ = w.process.Process.Kill() })
	err := exchange()
	if !stop() || ctx.Err() != nil {
		err = port.Ended(ctx)
	} else if err != nil {
		err = w.crash(err)
	}
	if err != nil {
		w.end(err)
	}
	return err
}

// crash says why the worker ended: its first words on standard error, which for
// a panic are the panic.
func (w *onnxGoWorker) crash(cause error) error {
	_ = w.stdin.Close()
	_ = w.process.Process.Kill()
	wait := w.process.Wait()
	if line := firstWords(w.stderr.String()); line != "" {
		return fmt.Errorf("%s: onnx-go crashed: %s", w.model, line)
	}
	return fmt.Errorf("%s: the onnx-go worker ended: %w", w.model, errors.Join(cause, wait))
}

func (w *onnxGoWorker) end(reason error) {
	_ = w.stdin.Close()
	_ = w.process.Process.Kill()
	if w.process.ProcessState == nil {
		_ = w.process.Wait()
	}
	w.ended = reason
}

func (w *onnxGoWorker) close() {
	if w.ended == nil {
		w.end(errors.New("onnx-go: Run after Close"))
	}
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
