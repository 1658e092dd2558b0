package train

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/dataset"
	"slipway/dataset/picture"
	"slipway/onnx"
	"slipway/onnx/convert"
	"slipway/train"
)

// buildNetwork returns the network asked for, and the weights that it starts from, nil where they
// are drawn from the seed. An experiment's network and a known one, whose name has neither a dot
// nor a slash as a path does, have a logit for each of the classes. What must be heard of a model
// is written to out.
func (o *options) buildNetwork(sets sets, out io.Writer) (network *builder.Network,
	initial builder.Weights, err error) {
	classes := sets.classes()
	if o.classes > 0 {
		classes = o.classes
	}
	switch {
	case o.pretrained != nil:
		return o.pretrained.Network, o.pretrained.Weights, nil
	case o.from != "":
		return o.readModel(out)
	case zoo.Has(o.network):
		network, err = zoo.New(o.network, imageShape(sets.training), classes)
	case o.network != "":
		network, err = readNetwork(o.network)
	case o.experiment == "e2":
		network, err = builder.E2(classes, o.dropout)
	default:
		network, err = builder.E1(classes)
	}
	if err == nil && o.init != "" {
		initial, err = o.readWeights(network)
	}
	return network, initial, err
}

// readWeights reads -init's weights, and keeps what is to be said of them.
func (o *options) readWeights(network *builder.Network) (builder.Weights, error) {
	loaded, err := train.LoadWeights(o.init, network)
	var head *train.HeadError
	switch {
	case errors.As(err, &head) && o.network != "" && !zoo.Has(o.network):
		return nil, fmt.Errorf(
			"%w; the file's classifier tells %d classes apart: give the network's file as many, and -head auto a new "+"classifier for the sets'",
			err, head.Classes)
	case errors.As(err, &head):
		return nil, fmt.Errorf(
			"%w; the file's classifier tells %d classes apart: -classes %d -head auto takes it, and puts a new one for "+
				"the sets' classes in its place", err, head.Classes, head.Classes)
	case err != nil:
		return nil, err
	}
	o.initNotes = loaded.Notes
	return loaded.Weights, nil
}

// imageShape is that of each of the set's images.
func imageShape(set dataset.Source) builder.Shape {
	info := set.Info()
	return builder.Shape{info.Channels, info.Height, info.Width}
}

// openModel reads the model of -from's file. Pictures come to the size that its record says, unless
// -resize says another.
func (o *options) openModel() error {
	if o.from == "" || o.pretrained != nil {
		return nil
	}
	var err error
	if o.model, err = onnx.Read(o.from); err != nil {
		return err
	}
	record, _, err := o.model.TrainingRecord()
	if err != nil || record.Sizing == "" || o.pictures.Sizing != nil {
		return err
	}
	sizing, err := picture.ParseSizing(record.Sizing)
	if err != nil {
		return fmt.Errorf("%s: its training record: %w", o.from, err)
	}
	o.pictures.Sizing = &sizing
	return nil
}

// readModel takes the network and the weights of -from's file. Pixels are fed as its record says,
// unless -pixels does.
func (o *options) readModel(out io.Writer) (*builder.Network, builder.Weights, error) {
	model := o.model
	for _, note := range model.Notes() {
		fmt.Fprintf(out, "note: %s: %s\n", o.from, note)
	}
	network, weights, err := convert.ToNetwork(model, o.output)
	if err != nil {
		return nil, nil, err
	}
	record, ok, err := model.TrainingRecord()
	if err != nil {
		return nil, nil, err
	}
	if ok && !o.given["pixels"] {
		o.config.Pixels = train.PixelsFor(record.PixelTransform())
	}
	o.fromBinary = record.Probabilities == onnx.SigmoidOfScores
	if ok {
		o.fromClasses = record.ClassLabels
	}
	return network, weights, nil
}

// readNetwork reads a network's file, JSON or YAML (docs/networks.md). A name that is neither a
// file's nor a known network's is an error that lists the latter.
func readNetwork(path string) (*builder.Network, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(path, `./\`) {
		return nil, fmt.Errorf(
			"-network %s: no network is called so, and no file; there are %s, or give a file, JSON or YAML",
			path, strings.Join(zoo.Names(), ", "))
	}
	if err != nil {
		return nil, fmt.Errorf("read network: %w", err)
	}
	network, err := builder.ParseNetwork(raw)
	var place *builder.PlaceError
	switch {
	case errors.As(err, &place):
		return nil, fmt.Errorf("%s:%d:%d: %w", path, place.Line, place.Column, place.Err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return network, nil
}
