package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"slipway/builder"
	"slipway/internal/atomicfile"
	"slipway/internal/cli"
	"slipway/internal/kernel"
	"slipway/train"
)

const usage = "usage: slipway-bench describe | distance | peak | inputs | worker | accuracy | feed | memory | evaluate | graph | network | start | welch | plot [flags]"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "slipway-bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	switch args[0] {
	case "feed":
		return feed(ctx, args[1:], os.Stdout)
	case "memory":
		return memory(ctx, args[1:], os.Stdout)
	case "evaluate":
		return evaluate(ctx, args[1:], os.Stdin, os.Stdout)
	case "graph":
		if len(args) != 3 {
			return errors.New("usage: slipway-bench graph NAME FILE")
		}
		return writeGraph(args[1], args[2])
	case "start":
		return start(args[1:], os.Stdout)
	case "welch":
		return welch(args[1:], os.Stdout)
	}
	var o options
	flags := flag.NewFlagSet("slipway-bench "+args[0], flag.ContinueOnError)
	flags.StringVar(&o.network, "network", "e1", "network: "+strings.Join(networkNames(), ", "))
	flags.StringVar(&o.engine, "engine", builder.DefaultEngine, "engine")
	flags.StringVar(&o.precision, "precision", train.PrecisionFloat32, "precision of the steps (worker)")
	flags.IntVar(&o.batch, "batch", 32, "images a step")
	flags.IntVar(&o.threads, "threads", 1, "threads to compute on")
	flags.IntVar(&o.epochs, "epochs", 10, "epochs to train for (accuracy)")
	flags.Uint64Var(&o.seed, "seed", 1, "seed of the weights and of the shuffle")
	flags.StringVar(&o.profile, "cpuprofile", "",
		"file for the CPU's profile of the training (worker)")
	flags.StringVar(&o.csv, "csv", "", "table to draw (plot)")
	flags.StringVar(&o.output, "o", "", "file to write")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%s: unexpected argument %q", args[0], flags.Arg(0))
	}
	switch args[0] {
	case "describe":
		return describe(os.Stdout)
	case "network":
		return writeNetwork(o.network, os.Stdout)
	case "distance":
		return distance(os.Stdout)
	case "peak":
		return peak(o.threads, os.Stdout)
	case "inputs":
		return writeInputs(ctx, o)
	case "worker":
		return work(ctx, o, os.Stdin, os.Stdout)
	case "accuracy":
		return accuracy(ctx, o)
	case "plot":
		return plotBatches(o)
	}
	return fmt.Errorf("unknown command %q; %s", args[0], usage)
}

type options struct {
	network, engine, precision, csv, output, profile string
	batch, threads, epochs                           int
	seed                                             uint64
}

// configuration is one way for Slipway to train.
type configuration struct {
	Name   string `json:"name"`
	Engine string `json:"engine"`
	// Kernel is the value for SLIPWAY_KERNEL, empty for the stock engine.
	Kernel string `json:"kernel,omitempty"`
	// Precision is that of train.Config, empty for float32.
	Precision string `json:"precision,omitempty"`
	// Unavailable says why it cannot run here, empty if it can.
	Unavailable string `json:"unavailable,omitempty"`
}

// described is a network that is measured.
type described struct {
	Name    string `json:"name"`
	Set     string `json:"set"`
	Batches []int  `json:"batches"`
}

// describe lists every configuration there is, also those that cannot run here.
func describe(out io.Writer) error {
	engines := builder.EngineNames()
	var all []configuration
	for _, set := range []string{"avx512", "avx2", "portable"} {
		c := configuration{Name: "native " + set, Engine: builder.EngineNative, Kernel: set}
		switch {
		case !slices.Contains(engines, builder.EngineNative):
			c.Unavailable = "this build has no engine " + builder.EngineNative
		case !slices.Contains(kernel.Available(), set):
			c.Unavailable = "this CPU has no " + set
		}
		all = append(all, c)
	}
	rounded := configuration{Name: "bf16 native avx512", Engine: builder.EngineNative, Kernel: "avx512",
		Precision: train.PrecisionBF16}
	set, err := kernel.Select(rounded.Kernel)
	if err == nil {
		err = set.CheckBF16()
	}
	if err != nil {
		rounded.Unavailable = err.Error()
	}
	all = append(all, rounded, configuration{Name: builder.EngineGorgonia, Engine: builder.EngineGorgonia})
	var networks []described
	for _, s := range subjects() {
		networks = append(networks, described{s.name, s.set, s.batches})
	}
	return json.NewEncoder(out).Encode(struct {
		Version        string          `json:"version"`
		Networks       []described     `json:"networks"`
		Configurations []configuration `json:"configurations"`
	}{fmt.Sprintf("%s, %s", cli.ModuleVersion, runtime.Version()), networks, all})
}

// writeNetwork writes the network's JSON.
func writeNetwork(name string, out io.Writer) error {
	_, network, err := newSubject(name)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(network)
}

func writeJSON(path string, value any) error {
	raw, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return atomicfile.WriteBytes(path, append(raw, '\n'))
}
