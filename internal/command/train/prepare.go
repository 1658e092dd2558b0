package train

import (
	"context"
	"fmt"
	"io"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/train"
)

// prepared is what a training that starts anew, or a sweep of its learning rate, works on.
type prepared struct {
	sets    sets
	network *builder.Network
	initial builder.Weights // nil for those of the seed
	config  train.Config    // with its defaults filled in
}

// prepare reads what the command line names, in the order in which faults cost the least.
func (o *options) prepare(ctx context.Context, out io.Writer) (*prepared, error) {
	if o.network != "" && !zoo.Has(o.network) {
		// What is wrong with the file is told before the sets are read.
		network, err := readNetwork(o.network)
		if err != nil {
			return nil, err
		}
		if err := o.fitsSizing(network); err != nil {
			return nil, err
		}
	}
	if err := o.loadPretrained(ctx, out); err != nil {
		return nil, err
	}
	if err := o.openModel(); err != nil {
		return nil, err
	}
	p := new(prepared)
	var err error
	if p.sets, err = o.openSets(ctx, out); err != nil {
		return nil, err
	}
	if p.network, p.initial, err = o.buildNetwork(p.sets, out); err != nil {
		return nil, err
	}
	if p.network, p.initial, err = o.fineTuned(p.network, p.initial, p.sets, out); err != nil {
		return nil, err
	}
	o.tellClasses(p.network, p.sets, out)
	config, err := o.settings().For(p.sets.training)
	if err != nil {
		return nil, o.byFlag(err)
	}
	if o.fromBinary && config.Loss.Name != train.LossBinary {
		fmt.Fprintf(out,
			"note: %s was trained with the binary loss, and this run's is another: the probabilities of what it comes "+
				"to are a softmax's; -loss binary keeps them\n", o.from)
	}
	if p.config, err = config.WithDefaults(p.network); err != nil {
		return nil, err
	}
	return p, nil
}
