package train

import (
	"fmt"
	"runtime"
	"slices"
	"testing"

	"slipway/builder"
	"slipway/internal/collective"
	"slipway/internal/datasettest"
	"slipway/internal/sharedmemory"
)

// Ranks read each other's numbers in blocks of as many as all machines have, and send the rest. The
// sum has the same bits, whoever can read whom.
func TestNeighbours(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("processes share memory on Linux alone")
	}
	const numbers = 16 * 8
	value := func(rank, i int) float32 { return float32(rank+1) / float32(3*i+7) }
	want := make([]float32, numbers)
	for i := range want {
		x := make([]float32, 8)
		for rank := range x {
			x[rank] = value(rank, i)
		}
		want[i] = ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]))
	}
	for _, test := range []struct {
		name  string
		alone []int // who has memory that others cannot read
		block int
	}{
		{"one machine", nil, 8},
		{"a rank of a container of its own", []int{5}, 1},
		{"no shared memory", []int{0, 1, 2, 3, 4, 5, 6, 7}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			for rank, err := range onRanks(8, func(rank *LocalRank) error {
				n := newNeighbours(numbers, 0)
				if slices.Contains(test.alone, rank.Rank()) {
					n = &neighbours{rows: [][]float32{make([]float32, numbers)}}
				}
				own := n.rows[0]
				r := &together{Communicator: rank, timeout: DefaultExchangeTimeout}
				for range 20 {
					for i := range own {
						own[i] = value(rank.Rank(), i)
					}
					if err := collective.Share(t.Context(), r, make([]byte, 8)); err != nil {
						return err
					}
					err := n.sum(t.Context(), r, collective.Near{Add: func(total, part []float32, _ bool) error {
						for i, x := range part {
							total[i] += x
						}
						return nil
					}})
					switch {
					case err != nil:
						return err
					case len(n.near.Block) != test.block:
						return fmt.Errorf("it reads %d ranks' memory, want %d", len(n.near.Block), test.block)
					case !slices.Equal(own, want):
						return fmt.Errorf("the sum is %v, want %v", own, want)
					}
				}
				return nil
			}) {
				if err != nil {
					t.Errorf("rank %d: %v", rank, err)
				}
			}
		})
	}
}

// The block is the largest whose ranks read each other everywhere: machines of two or four.
func TestNeighboursOfMachines(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("processes share memory on Linux alone")
	}
	const numbers = 4
	memory := make([]*sharedmemory.Segment, 8)
	for rank := range memory {
		var err error
		if memory[rank], err = sharedmemory.New(numbers); err != nil {
			t.Fatal(err)
		}
	}
	for machine := 1; machine <= 8; machine *= 2 {
		for rank := range memory {
			n := &neighbours{rows: cutRows(memory[rank].Floats(), 1), memory: memory[rank]}
			addresses := make([][]byte, len(memory))
			for other, memory := range memory {
				addresses[other] = []byte(memory.Address())
				if other/machine != rank/machine {
					addresses[other] = append([]byte("elsewhere"), addresses[other]...)
				}
			}
			if size := 1 << n.open(addresses, rank); size != machine {
				t.Errorf("rank %d of machines of %d: a block of %d", rank, machine, size)
			}
		}
	}
}

// A run has one digest, whether ranks read each other's gradients or send them.
func TestSharedMemoryKeepsTheBits(t *testing.T) {
	for name, run := range runs(t) {
		t.Run(name, func(t *testing.T) {
			start := func(config Config) (*Trainer, error) { return New(run.network, run.set, config, nil) }
			run.config.Shards = 4
			var digests []string
			for _, setting := range []string{"", "0"} {
				t.Setenv(SharedMemoryVariable, setting)
				digests = append(digests, digestOfRun(t, fitOnRanks(t, 4, start, run.config)[0]))
			}
			if digests[0] != digests[1] {
				t.Errorf("%s where they are read, %s where they are sent", digests[0], digests[1])
			}
		})
	}
}

// The reference's sums do not write what they read of other ranks, either. The network has no
// convolution: Gorgonia's are counted in a variable that ranks of one process would write at once.
func TestNeighboursOfTheReference(t *testing.T) {
	network, err := builder.New("dense", builder.Shape{1, 6, 6}, builder.Flatten{},
		builder.Dense{Units: 8}, builder.ReLU{}, builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	config := smallConfig(builder.EngineGorgonia)
	config.Shards, config.Epochs = 4, 1
	start := func(config Config) (*Trainer, error) {
		return New(network, datasettest.Bars(t, 60), config, nil)
	}
	want := digestOfRun(t, fitOnRanks(t, 1, start, config)[0])
	for _, ranks := range []int{2, 4} {
		for rank, checkpoint := range fitOnRanks(t, ranks, start, config) {
			if got := digestOfRun(t, checkpoint); got != want {
				t.Errorf("rank %d of %d: %s, want %s", rank, ranks, got, want)
			}
		}
	}
}
