package train

import (
	"context"
	"errors"
	"fmt"

	"slipway/builder"
	"slipway/internal/collective"
	"slipway/internal/device"
)

// Ranks on devices are those of the CPU, but for where their gradients meet: on the devices, in the
// steps themselves, which nobody waits for. What they say to each other beside that, they say by
// the Communicator. Before each step they say whether they can take it, and whether they were asked
// to stop: a device that is waited for by the others' is one that all of them know to come.

// CheckDevice reports what no Device does of a network that is trained by the configuration, nil if
// there is nothing.
func (c Config) CheckDevice(network *builder.Network) error {
	if c.Shards < 2 || c.BatchNorm == BatchNormShard {
		return nil
	}
	for _, node := range network.Nodes() {
		if node.WholeBatch {
			return fmt.Errorf("layer %s (%s) is trained with the statistics of the whole batch, and "+
				"the shards of a batch exchange none on a GPU: have each shard be normalised by itself "+
				"(-batchnorm %s), or train on the CPU (-device cpu), or without shards", node.Name,
				node.Layer.Kind(), BatchNormShard)
		}
	}
	return nil
}

// deal returns the images that a shard has of a step of so many, in spans that go forward and back
// together on a device, which has no use for smaller parts.
func (t *Trainer) deal(images, shard int) []device.Span {
	unit := 1
	if t.mixer != nil {
		unit = 2
	}
	var all []device.Span
	size := t.batchImages(images, unit)
	for begin := 0; begin < images; begin += size {
		of := dealtSpan(begin, min(size, images-begin), unit, shard, t.config.Shards)
		if of.end > of.first {
			all = append(all, device.Span{First: of.first, End: of.end})
		}
	}
	return all
}

// joins returns the configuration's device as one that trains together with others.
func (c Config) joins() (device.Joiner, error) {
	joiner, ok := c.Device.(device.Joiner)
	if !ok {
		return nil, fmt.Errorf("device %s trains in one process, and there are %d ranks", c.Device,
			c.Communicator.Size())
	}
	return joiner, nil
}

// joinDevices joins the devices of all ranks, once they have agreed.
func (t *Trainer) joinDevices(ctx context.Context) error {
	if t.config.Device == nil {
		return nil
	}
	joiner, err := t.config.joins()
	if err != nil {
		return err
	}
	err = joiner.Join(ctx, t.together, t.together.timeout)
	var known *device.JoinError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &known):
		return t.deviceError(err)
	case known.Rank < 0:
		return &DisagreementError{[]string{known.Reason}}
	case known.Rank == t.together.Rank():
		return &OwnError{t.deviceError(err)}
	}
	return &RankError{known.Rank, known.Reason}
}

// meetBefore has all ranks know, before a step on their devices, whether each of them can take it,
// of which failure is what hinders this one, and whether one was asked to stop: the step is then
// the last.
func (t *Trainer) meetBefore(ctx context.Context, failure error) error {
	r := t.together
	if r == nil {
		return failure
	}
	const stop, failed = 1, 2
	blocks := make([]byte, r.Size())
	if ctx.Err() != nil {
		blocks[r.Rank()] |= stop
	}
	if failure != nil {
		blocks[r.Rank()] |= failed
	}
	if err := collective.Share(ctx, r, blocks); err != nil {
		return err
	}
	var all byte
	for _, block := range blocks {
		all |= block
	}
	r.stop = r.stop || all&stop != 0
	if all&failed != 0 {
		return r.failed(ctx, failure)
	}
	return nil
}
