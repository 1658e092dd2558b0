package convert

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"slipway/builder"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// ProducerName is that of every model that FromNetwork makes.
const ProducerName = "slipway"

// versionsFor returns the opset and the IR version that a graph is written in; the package's
// comment has the reasons.
func versionsFor(graph *onnxpb.GraphProto) (opset, ir int64) {
	for _, node := range graph.GetNode() {
		if node.GetOpType() == "BatchNormalization" {
			return 15, 8
		}
	}
	return 13, 7
}

// Options are what FromNetwork may be told beside the network. The zero value is
// good.
type Options struct {
	// FixedBatch is the batch dimension of input and output; 0 leaves it free
	// ("N"). Few runtimes need it fixed.
	FixedBatch int
	// ProducerVersion is the version of the program that exports, "" if unknown.
	ProducerVersion string
	// Description is the model's doc_string, for people.
	Description string
	// Metadata is kept in the model beside the training record. Keys may not
	// begin with "slipway.".
	Metadata map[string]string
}

// FromNetwork makes the model of a network and its weights. The training record is written into its
// metadata; the zero record says nothing, and none is written: who runs the model must know how its
// pixels are fed. What a trainer holds is exported with its record by export.FromTrainer.
// ClassLabels, where given, must be as many as the network has classes. The package's comment says
// which operators and names it chooses.
func FromNetwork(network *builder.Network, weights builder.Weights, record onnx.TrainingRecord,
	options Options) (*onnx.Model, error) {
	if network == nil {
		return nil, fmt.Errorf("export: there is no network")
	}
	fail := func(err error) (*onnx.Model, error) { return nil, fmt.Errorf("export: %w", err) }
	weights, err := network.CheckWeights(weights)
	if err != nil {
		return fail(err)
	}
	if options.FixedBatch < 0 {
		return fail(fmt.Errorf("the batch is fixed to %d; it must be at least 1, or 0 to leave it free",
			options.FixedBatch))
	}
	if err := checkLabels(network, record.ClassLabels); err != nil {
		return fail(err)
	}
	if err := checkChannels(network, len(record.PixelScales)); err != nil {
		return fail(err)
	}

	graph, err := lower(network, weights, options.FixedBatch)
	if err != nil {
		return fail(err)
	}
	opset, ir := versionsFor(graph)
	model := &onnx.Model{Proto: &onnxpb.ModelProto{
		IrVersion:    proto.Int64(ir),
		ProducerName: proto.String(ProducerName),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""),
			Version: proto.Int64(opset)}},
		Graph: graph,
	}}
	if options.ProducerVersion != "" {
		model.Proto.ProducerVersion = proto.String(options.ProducerVersion)
	}
	if options.Description != "" {
		model.Proto.DocString = proto.String(options.Description)
	}
	for key := range options.Metadata {
		if strings.HasPrefix(key, onnx.RecordPrefix) {
			return fail(
				fmt.Errorf("the metadata key %q begins with %q, which is kept for the training record", key,
					onnx.RecordPrefix))
		}
	}
	if err := model.SetMetadata(options.Metadata); err != nil {
		return fail(err)
	}
	if !record.IsZero() {
		if err := model.SetTrainingRecord(record); err != nil {
			return fail(err)
		}
	}
	if err := model.Check(); err != nil {
		return fail(err)
	}
	return model, nil
}

// checkChannels refuses a record whose pixel formula is of another number of channels than
// the network's images, 0 being any.
func checkChannels(network *builder.Network, recorded int) error {
	if input := network.Input(); recorded != 0 && len(input) == 3 && input[0] != recorded {
		return fmt.Errorf(
			"pixels are scaled by %d numbers, one for each channel, and the network %s takes images %v",
			recorded, network.Name(), input)
	}
	return nil
}

func checkLabels(network *builder.Network, labels []string) error {
	if len(labels) == 0 {
		return nil
	}
	classes, err := network.Classes()
	if err != nil {
		return err
	}
	if len(labels) != classes {
		return fmt.Errorf("there are %d class labels, but the network %s has %d classes", len(labels),
			network.Name(), classes)
	}
	return nil
}
