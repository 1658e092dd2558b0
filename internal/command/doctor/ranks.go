package doctor

import (
	"context"
	"fmt"
	"io"
	"math/bits"
	"os"
	"text/tabwriter"
	"time"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/internal/cli"
	"slipway/internal/collective"
	"slipway/internal/display"
	"slipway/internal/mpi"
	"slipway/internal/scaling"
	"slipway/train"
)

// patience is how long doctor -mpi waits for what ranks do together.
const patience = 5 * time.Minute

// examineRanks is doctor -mpi. Under a launcher its ranks measure what exchanges take, and rank 0
// prints that and what it comes to; alone it says how it is started.
func examineRanks(ctx context.Context, sizes []int, stdout, stderr io.Writer) int {
	if mpi.Launched(os.Getenv).Size < 2 {
		fmt.Fprintf(stdout, "This is one process. A launcher starts those whose exchanges are "+
			"measured.\n\n%s", measureFirst())
		return cli.ExitOK
	}
	world, err := mpi.Open()
	if err != nil {
		return cli.Fail(stderr, "doctor", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if world.Rank() > 0 {
		stdout = io.Discard
	} else {
		fmt.Fprintf(stdout, "%s, %s\n\n", display.Count(world.Size(), "rank"), world)
	}
	if err := reportRanks(ctx, world, sizes, stdout); err != nil {
		code := cli.Fail(stderr, "doctor", fmt.Errorf("rank %d: %w", world.Rank(), err))
		world.Abort(code)
		return code
	}
	if err := world.Close(); err != nil {
		return cli.Fail(stderr, "doctor", err)
	}
	return cli.ExitOK
}

// measureLinks measures and prints the links of ranks whose numbers differ by 1, 2, 4 and so on.
func measureLinks(ctx context.Context, c train.Communicator, sizes []int,
	out io.Writer) ([]scaling.Link, error) {
	if bits.OnesCount(uint(c.Size())) != 1 {
		return nil, fmt.Errorf("%d ranks cannot share a batch: start 2, 4, 8 … of them", c.Size())
	}
	var links []scaling.Link
	for distance := 1; distance < c.Size(); distance *= 2 {
		points, err := scaling.Measure(ctx, c, distance, sizes)
		if err != nil {
			return nil, err
		}
		link := scaling.Fit(points)
		links = append(links, link)
		printExchanges(out, distance, points, link)
	}
	return links, nil
}

// reportRanks measures and prints.
func reportRanks(ctx context.Context, c train.Communicator, sizes []int, out io.Writer) error {
	links, err := measureLinks(ctx, c, sizes, out)
	if err != nil {
		return err
	}
	// All compute at the same time, as they do in a step: they share the memory.
	works, err := computed(ctx)
	if err != nil {
		return err
	}
	predict(links, works, out)
	if _, err := io.WriteString(out, "\n"+measureFirst()); err != nil {
		return err
	}
	// The launcher would end all when the first ends.
	return collective.Share(ctx, c, make([]byte, c.Size()))
}

func printExchanges(out io.Writer, distance int, points []scaling.Point, link scaling.Link) {
	fmt.Fprintf(out, "MEASURED: ranks whose numbers differ by %d exchange, all pairs at the same "+
		"time\n", distance)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "bytes each way\tleast\tmedian\tα + β·bytes\t")
	for _, p := range points {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t\n", display.Thousands(p.Bytes), seconds(p.Least),
			seconds(p.Median), seconds(link.Exchange(float64(p.Bytes))))
	}
	table.Flush()
	fmt.Fprintf(out, "α = %s, β = %.3g ns a byte (%s each way), fitted to the least times\n\n",
		seconds(link.Latency), 1e9*link.PerByte, rate(link.PerByte))
}

func rate(perByte float64) string {
	if perByte <= 0 {
		return "no limit seen"
	}
	return fmt.Sprintf("%.2f GB/s", 1e-9/perByte)
}

// seconds prints a time with three digits.
func seconds(t float64) string {
	switch {
	case t < 1e-3:
		return fmt.Sprintf("%.3g µs", 1e6*t)
	case t < 1:
		return fmt.Sprintf("%.3g ms", 1e3*t)
	}
	return fmt.Sprintf("%.3g s", t)
}

// Assumed links of a machine with eight GPUs and between such machines. They are of no measurement:
// the vendors' rates in one direction of NVLink 4 (450 GB/s) and of a 400 Gbit/s InfiniBand adapter
// for each GPU, and a latency that is a guess.
var (
	assumedInside  = scaling.Link{Latency: 5e-6, PerByte: 1 / 450e9}
	assumedBetween = scaling.Link{Latency: 10e-6, PerByte: 1 / 50e9}
)

// Batches of the predictions.
const (
	weakBatch   = 128 // of each rank
	strongBatch = 512 // of all together
	mostRanks   = 64
)

// predict prints what links and work come to on more ranks.
func predict(links []scaling.Link, works []scaling.Work, out io.Writer) {
	fmt.Fprint(out, "MEASURED: a step of rank 0 by one thread, while the others compute, too: "+
		"the least of the processor's\ntimes, as a fixed part and one of each image\n")
	for _, w := range works {
		fmt.Fprintf(out, "  %s: %s parameters, %s + %s an image\n", w.Name,
			display.Thousands(w.Parameters), seconds(w.Step), seconds(w.PerImage))
	}
	measured := func(distance int) scaling.Link {
		return links[min(bits.Len(uint(distance)), len(links))-1]
	}
	fmt.Fprintf(out, "\nMODEL, not measured: a step is what a rank computes and its exchanges, "+
		"one after the other. Links that\nwere not measured are taken to be as the furthest "+
		"that was. Efficiency of weak scaling, %d images on each\nrank, and of strong scaling, "+
		"a batch of %d on all\n", weakBatch, strongBatch)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "ranks\t")
	for _, w := range works {
		fmt.Fprintf(table, "%s: exchange\tweak\tstrong\t", w.Name)
	}
	fmt.Fprintln(table)
	for ranks := 1; ranks <= mostRanks; ranks *= 2 {
		fmt.Fprintf(table, "%d\t", ranks)
		for _, w := range works {
			fmt.Fprintf(table, "%s\t%.0f %%\t%.0f %%\t", seconds(w.Exchange(ranks, measured)),
				100*w.Weak(weakBatch, ranks, measured), 100*w.Strong(strongBatch, ranks, measured))
		}
		fmt.Fprintln(table)
	}
	table.Flush()
	gpus := scaling.Nodes(8, assumedInside, assumedBetween)
	fmt.Fprint(out, "\nMODEL, of assumed links alone: 8 machines of 8 GPUs. Slipway's ranks train "+
		"on no GPU; NVLink's 450 GB/s\nand α = 5 µs within a machine, 50 GB/s and α = 10 µs for "+
		"each GPU between them\n")
	for _, w := range works {
		exchange := w.Exchange(mostRanks, gpus)
		fmt.Fprintf(out, "  %s: a step's exchanges take %s (%d messages of a rank); 90 %% "+
			"efficient where a step computes for %s\n", w.Name, seconds(exchange),
			w.Messages(mostRanks), seconds(9*exchange))
	}
}

// computed are the networks of the predictions, with what a step of each takes here.
func computed(ctx context.Context) ([]scaling.Work, error) {
	e1, err := builder.E1(10)
	if err != nil {
		return nil, err
	}
	resnet, err := zoo.New("resnet20", builder.Shape{3, 32, 32}, 10)
	if err != nil {
		return nil, err
	}
	small, err := scaling.WorkOf(e1, true).Measured(ctx, e1, 8, 32)
	if err != nil {
		return nil, err
	}
	deep, err := scaling.WorkOf(resnet, true).Measured(ctx, resnet, 1, 4)
	if err != nil {
		return nil, err
	}
	byShard := deep
	byShard.Name, byShard.Normalised = "resnet20, by shard", nil
	return []scaling.Work{small, deep, byShard}, nil
}

// measureFirst says what to find out on a cluster that nobody has trained on.
func measureFirst() string {
	doctor := cli.ShellLine(cli.Called("doctor")...) + " -mpi"
	train := cli.ShellLine(cli.Called("train")...) + " -mpi -shards 8 -epochs 1 -threads 1"
	return "What to measure first on a cluster, in this order:\n" +
		"  mpirun -n 2 " + doctor + "                      # on one machine: α and β of memory\n" +
		"  mpirun -n 2 --map-by node " + doctor + "        # on two: the network's\n" +
		"  mpirun -n 16 --map-by ppr:8:node " + doctor + " # eight on each: what they share\n" +
		"  mpirun -n 1 " + train + " -name one\n" +
		"  mpirun -n 8 " + train + " -name eight\n" +
		"The last two print images/s: what eight lack of eight times one, beyond the " +
		"prediction, is what the model\nleaves out. Their weights.safetensors have to be the " +
		"same file.\n"
}
