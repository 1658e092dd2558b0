package train_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log"
	"sync"

	"slipway/builder"
	"slipway/dataset"
	"slipway/train"
)

// Ranks share the shards of each batch; how many there are does not change what is learned. Here
// they are goroutines, of the command train they are processes that an MPI launcher starts.
func ExampleLocalRanks() {
	ctx := context.Background()
	network, err := builder.New("small", builder.Shape{1, 28, 28},
		builder.Flatten{}, builder.Dense{Units: 16}, builder.ReLU{}, builder.Dense{Units: 10})
	if err != nil {
		log.Fatal(err)
	}
	whole, err := dataset.Open(ctx, "t10k", dataset.Options{})
	if err != nil {
		log.Fatal(err)
	}
	set, err := whole.Subset([]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18,
		19})
	if err != nil {
		log.Fatal(err)
	}
	digests := make(map[string]bool)
	for _, size := range []int{1, 2, 4} {
		var all sync.WaitGroup
		for _, rank := range train.LocalRanks(size) {
			all.Go(func() {
				defer rank.Close()
				trainer, err := train.New(network, set, train.Config{
					BatchSize: 8, Epochs: 2, Shards: 4, Threads: 1, Communicator: rank,
				}, nil)
				if err != nil {
					log.Fatal(err)
				}
				defer trainer.Close()
				if err := trainer.Fit(ctx, train.Callbacks{}); err != nil || rank.Rank() > 0 {
					return
				}
				sum := sha256.New()
				for _, tensor := range trainer.Weights() {
					_ = binary.Write(sum, binary.LittleEndian, tensor.Data)
				}
				digests[fmt.Sprintf("%x", sum.Sum(nil))] = true
			})
		}
		all.Wait()
	}
	fmt.Println(len(digests), "digest of the weights on 1, 2 and 4 ranks")
	// Output: 1 digest of the weights on 1, 2 and 4 ranks
}
