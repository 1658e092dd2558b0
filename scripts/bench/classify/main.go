// Command classify times package infer/classify on single images, beside onnxruntime called
// through onnxruntime_go, and writes a table. On pictures in colour it times hugot, too.
//
//	make bench-classify BENCH_FLAGS='-rounds 40'
//	make bench-classify PICTURES=~/cifar10
//
// Every side goes the whole way, from an image in memory to the names and scores of the classes,
// one image after the other on one thread. The sides take turns, round after round, so that a
// machine that slows down does so for all; they must agree on every label first.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"

	"slipway/internal/atomicfile"
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
	model, data, hugot string
	rounds, images     int
}

func run(ctx context.Context) error {
	p := plan{}
	flag.StringVar(&p.model, "model", "graphs/e1.onnx",
		"ONNX `file`, of grey 28×28 images, or of -data's")
	flag.StringVar(&p.data, "data", "",
		"`folder` of pictures in colour, of the model's size; the digits of t10k if empty")
	flag.StringVar(&p.hugot, "hugot", "",
		"`folder` that scripts/bench/hugot/build filled; without it hugot is left out")
	flag.IntVar(&p.rounds, "rounds", 20, "rounds, in each of which every side answers all images")
	flag.IntVar(&p.images, "images", 0, "images; 2000 of t10k or 200 of -data if 0")
	output := flag.String("o", "", "write the table to this `file`; standard output if empty")
	flag.Parse()
	if p.images == 0 {
		p.images = 2000
		if p.data != "" {
			p.images = 200 // hugot's pure Go back end takes long for one
		}
	}
	if flag.NArg() > 0 || p.rounds < 1 || p.images < 1 || p.images > 10_000 {
		return fmt.Errorf("there are flags alone, at least one round, and 1 to 10000 images")
	}
	if p.hugot != "" && p.data == "" {
		return fmt.Errorf("-hugot needs -data: hugot takes pictures in colour alone")
	}
	text, err := measured(ctx, p)
	if err != nil {
		return err
	}
	if *output == "" {
		fmt.Print(text)
		return nil
	}
	return atomicfile.WriteBytes(*output, []byte(text))
}

// measured is the page of a plan.
func measured(ctx context.Context, p plan) (page string, err error) {
	var set images
	if p.data == "" {
		set, err = digits(ctx, p.images)
	} else {
		// hugot's pure Go back end has no other way to one thread, and all sides have the same.
		runtime.GOMAXPROCS(1)
		set, err = pictures(ctx, p.data, p.images)
	}
	if err != nil {
		return "", err
	}
	sides, missing, closeAll, err := open(ctx, p, set)
	defer closeAll()
	if err != nil {
		return "", err
	}
	if err := agree(ctx, sides); err != nil {
		return "", err
	}
	if err := measure(ctx, sides, p.rounds); err != nil {
		return "", err
	}
	return table(p, set, sides, missing), nil
}
