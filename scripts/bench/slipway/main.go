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
	"syscall"

	"slipway/builder"
	"slipway/internal/atomicfile"
	"slipway/internal/cli"
	"slipway/internal/kernel"
)

const usage = "usage: slipway-bench describe | distance | inputs | worker | accuracy | feed | memory | evaluate | network | welch | plot [flags]"

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
	case "network":
		if len(args) != 3 {
			return errors.New("usage: slipway-bench network NAME FILE")
		}
		return writeNetwork(args[1], args[2])
	case "welch":
		return welch(args[1:], os.Stdout)
	}
	var o options
	flags := flag.NewFlagSet("slipway-bench "+args[0], flag.ContinueOnError)
	flags.StringVar(&o.network, "network", "e1", "network: e1, lenet5, conv4, strided or mlp")
	flags.StringVar(&o.engine, "engine", builder.DefaultEngine, "engine")
	flags.IntVar(&o.batch, "batch", 32, "images a step")
	flags.IntVar(&o.threads, "threads", 1, "threads to compute on")
	flags.IntVar(&o.epochs, "epochs", 10, "epochs to train for (accuracy)")
	flags.Uint64Var(&o.seed, "seed", 1, "seed of the weights and of the shuffle")
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
	case "distance":
		return distance(os.Stdout)
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
	network, engine, csv, output string
	batch, threads, epochs       int
	seed                         uint64
}

// configuration is one way for Slipway to train.
type configuration struct {
	Name   string `json:"name"`
	Engine string `json:"engine"`
	// Kernel is the value for SLIPWAY_KERNEL, empty for the stock engine.
	Kernel string `json:"kernel,omitempty"`
	// Unavailable says why it cannot run here, empty if it can.
	Unavailable string `json:"unavailable,omitempty"`
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
	all = append(all, configuration{Name: builder.EngineGorgonia, Engine: builder.EngineGorgonia})
	return json.NewEncoder(out).Encode(struct {
		Version        string          `json:"version"`
		Networks       []string        `json:"networks"`
		Configurations []configuration `json:"configurations"`
	}{fmt.Sprintf("%s, %s", cli.ModuleVersion, runtime.Version()), networkNames(), all})
}

func writeJSON(path string, value any) error {
	raw, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return atomicfile.WriteBytes(path, append(raw, '\n'))
}
