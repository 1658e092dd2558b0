package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"slipway/dataset"
	"slipway/export"
	"slipway/internal/cli"
	"slipway/internal/command/worker"
	"slipway/internal/nearest"
	"slipway/pretrained"
)

// checkFrom rejects what does not go with -from.
func (o *options) checkFrom(given map[string]bool) error {
	switch {
	case o.from == "":
		if given["from"] {
			return errors.New("-from is empty; give the name of a pretrained network")
		}
		return nil
	case !pretrained.Has(o.from):
		return fmt.Errorf("-from %s: no pretrained network is called so%s; there are %s", o.from,
			nearest.Hint(o.from, pretrained.Names()), strings.Join(pretrained.Names(), ", "))
	case o.run != "" || given["runs"] || o.variants.model != "":
		return errors.New("-from, -run, -runs and -model each say what to export; give one of them")
	case len(o.variants.wanted) > 0:
		return errors.New("-from exports the network as it is; make variants of that file with " +
			"-model")
	}
	return nil
}

// exportPretrained exports -from's network.
func (o *options) exportPretrained(ctx context.Context, stdout, stderr io.Writer) error {
	asWorker, err := worker.Command()
	if err != nil {
		return err
	}
	model, err := pretrained.Load(ctx, o.from, pretrained.Options{Messages: stdout})
	if err != nil {
		return fmt.Errorf("-from: %w", err)
	}
	var test dataset.Source
	if o.data != "" {
		reading := dataset.Options{
			Sizing: &model.Sizing, Channels: model.Network.Input()[0], SkipDamaged: o.skipDamaged,
			Part: dataset.Test, Messages: stdout,
		}
		if test, err = dataset.OpenSource(ctx, o.data, reading); err != nil {
			return fmt.Errorf("-data: %w", err)
		}
	}
	output := o.output
	if output == "" {
		output = filepath.Join(o.graphs, o.from+".onnx")
	}
	return export.Pretrained(ctx, model, export.Options{
		Output: output, Test: test, Verify: o.verify, PassOver: o.passOver, Tolerance: o.tolerance,
		Worker: asWorker, ProducerVersion: cli.ModuleVersion,
		Messages: stdout, Progress: stderr,
	})
}
