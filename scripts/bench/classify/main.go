// Command classify times package infer/classify on single images, beside onnxruntime called
// through onnxruntime_go, and writes a table.
//
//	make bench-classify BENCH_FLAGS='-rounds 40'
//
// Every side goes the whole way, from an image.Gray to the names and probabilities of the
// classes, one image after the other on one thread. The sides take turns, round after round, so
// that a machine that slows down does so for all; they must agree on every label first.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"image"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"slipway/dataset"
	"slipway/infer/classify"
	"slipway/internal/atomicfile"
	"slipway/internal/cputime"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench-classify:", err)
		os.Exit(1)
	}
}

// plan is what is measured and how often.
type plan struct {
	model          string
	rounds, images int
}

func run(ctx context.Context) error {
	p := plan{}
	flag.StringVar(&p.model, "model", "graphs/e1.onnx", "ONNX `file`, of grey 28×28 images")
	flag.IntVar(&p.rounds, "rounds", 20, "rounds, in each of which every side answers all images")
	flag.IntVar(&p.images, "images", 2000, "images of t10k")
	output := flag.String("o", "", "write the table to this `file`; standard output if empty")
	flag.Parse()
	if flag.NArg() > 0 || p.rounds < 1 || p.images < 1 || p.images > 10_000 {
		return fmt.Errorf("there are flags alone, at least one round, and 1 to 10000 images")
	}
	images, err := digits(ctx, p.images)
	if err != nil {
		return err
	}
	sides, closeAll, err := open(p.model)
	if err != nil {
		return err
	}
	defer closeAll()
	if err := agree(ctx, sides, images); err != nil {
		return err
	}
	if err := measure(ctx, sides, images, p.rounds); err != nil {
		return err
	}
	text := table(p, sides)
	if *output == "" {
		fmt.Print(text)
		return nil
	}
	return atomicfile.WriteBytes(*output, []byte(text))
}

// side is one way to classify an image.
type side struct {
	name, note string
	classify   func(ctx context.Context, m *image.Gray) ([]classify.Result, error)

	micros      []float64 // an image, by round
	computed    []float64 // µs of processors' time an image, by round
	allocations float64   // an image
}

// digits are the first images of t10k.
func digits(ctx context.Context, n int) ([]*image.Gray, error) {
	source, err := dataset.Open(ctx, string(dataset.Test), dataset.Options{})
	if err != nil {
		return nil, err
	}
	set, err := dataset.Load(ctx, source)
	if err != nil {
		return nil, err
	}
	images := make([]*image.Gray, n)
	for i := range images {
		images[i] = &image.Gray{Pix: set.Image(i), Stride: set.Width,
			Rect: image.Rect(0, 0, set.Width, set.Height)}
	}
	return images, nil
}

// agree reports the first image that two sides call otherwise.
func agree(ctx context.Context, sides []*side, images []*image.Gray) error {
	for i, m := range images {
		var first string
		for k, s := range sides {
			results, err := s.classify(ctx, m)
			if err != nil {
				return fmt.Errorf("%s: image %d: %w", s.name, i, err)
			}
			if k == 0 {
				first = results[0].Label
			} else if got := results[0].Label; got != first {
				return fmt.Errorf("image %d is %q for %s, and %q for %s", i, first, sides[0].name,
					got, s.name)
			}
		}
	}
	return nil
}

func measure(ctx context.Context, sides []*side, images []*image.Gray, rounds int) error {
	for round := range rounds {
		for k := range sides {
			s := sides[(k+round)%len(sides)]
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			used, begin := cputime.Used(), time.Now()
			for _, m := range images {
				if _, err := s.classify(ctx, m); err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
			}
			took, computed := time.Since(begin), cputime.Used()-used
			runtime.ReadMemStats(&after)
			n := float64(len(images))
			s.micros = append(s.micros, float64(took.Nanoseconds())/1e3/n)
			s.computed = append(s.computed, float64(computed.Nanoseconds())/1e3/n)
			s.allocations = float64(after.Mallocs-before.Mallocs) / float64(len(images))
		}
	}
	return ctx.Err()
}

func table(p plan, sides []*side) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# One image at a time in a Go program\n\n<!-- made by make bench-classify; not by hand -->\n\n")
	fmt.Fprintf(&b, "- CPU: %s, %d processors; %s/%s, %s\n", processor(), runtime.NumCPU(),
		runtime.GOOS, runtime.GOARCH, runtime.Version())
	fmt.Fprintf(&b, "- %s; load average %s\n", time.Now().UTC().Format(time.DateOnly), load())
	fmt.Fprintf(&b, "- %s, %d images of t10k in each of %d rounds, the sides taking turns; all give the same labels\n",
		filepath.ToSlash(p.model), p.images, p.rounds)
	fmt.Fprintf(&b, "- from an image.Gray to names and probabilities, one image after the other, one thread\n\n")
	b.WriteString("| | µs an image, min | median | median by the first's | " +
		"processors' µs an image, median | allocations an image |\n" +
		"| --- | ---: | ---: | ---: | ---: | ---: |\n")
	base := median(sides[0].micros)
	for _, s := range sides {
		fmt.Fprintf(&b, "| %s | %.1f | %.1f | %.2f | %.1f | %.1f |\n", s.name, slices.Min(s.micros),
			median(s.micros), median(s.micros)/base, median(s.computed), s.allocations)
	}
	b.WriteString("\nLower is better. Where others use the processors, their time says more than the clock.\n\n")
	for _, s := range sides {
		fmt.Fprintf(&b, "- %s: %s.\n", s.name, s.note)
	}
	return b.String()
}

func median(values []float64) float64 {
	sorted := slices.SortedFunc(slices.Values(values), cmp.Compare)
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// processor is what the system calls the CPU.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok &&
			strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	return cmp.Or(strings.Join(fields[:min(3, len(fields))], " "), "unknown")
}
