package train

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"slipway/dataset"
	"slipway/internal/datasettest"
)

// failing is a source of which an image cannot be read in an epoch, or in any if it is
// negative.
type failing struct {
	dataset.Source
	index, epoch int
	err          error
}

func (f *failing) Read(ctx context.Context, images []uint8, labels []int32, indices []int,
	epoch int) error {
	for _, index := range indices {
		if index == f.index && (epoch == f.epoch || f.epoch < 0) {
			return f.err
		}
	}
	return f.Source.Read(ctx, images, labels, indices, epoch)
}

// What was learned before an image cannot be read is saved; with the image, the run goes
// on to the bits of an unbroken one. A source of somebody's own gives the bits of a set.
func TestAnImageThatCannotBeRead(t *testing.T) {
	gone := errors.New("own/a.png is gone")
	eachEngine(t, func(t *testing.T, engine string) {
		config := varyingConfig(engine)
		config.ValidationFraction = 0.2
		set := datasettest.Bars(t, 60)
		whole := newSmallTrainer(t, config)
		defer whole.Close()
		if err := whole.Fit(t.Context(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		source := &failing{Source: set, index: 7, epoch: 1, err: gone}
		broken, err := New(smallNetwork(t), source, config, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer broken.Close()
		saves := 0
		err = broken.Fit(t.Context(), Callbacks{Save: func() error { saves++; return nil }})
		var unread *ReadError
		if !errors.As(err, &unread) || !errors.Is(err, gone) ||
			!strings.Contains(err.Error(), "epoch 2, step ") {
			t.Fatalf("Fit returned %v", err)
		}
		if saves != 2 || broken.Progress().Epochs != 1 {
			t.Errorf("saved %d times, after %d epochs", saves, broken.Progress().Epochs)
		}
		source.err = nil
		source.index = -1
		resumed, err := Resume(broken.Checkpoint(), source, config)
		if err != nil {
			t.Fatal(err)
		}
		defer resumed.Close()
		if err := resumed.Fit(t.Context(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		// The validation set of a source of one's own is told by the digest of its indices.
		want, got := whole.Checkpoint(), resumed.Checkpoint()
		got.Sets = want.Sets
		if !bytes.Equal(encoded(t, want), encoded(t, got)) {
			t.Error("the resumed run differs from the unbroken one")
		}
		unsaved, err := New(smallNetwork(t), &failing{Source: set, index: 7, epoch: -1, err: gone},
			config, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer unsaved.Close()
		err = unsaved.Fit(t.Context(), Callbacks{Save: func() error { return errors.New("disk full") }})
		if !errors.Is(err, gone) ||
			!strings.Contains(err.Error(), "the run's state could not be saved: disk full") {
			t.Errorf("without room: %v", err)
		}
	})
}
