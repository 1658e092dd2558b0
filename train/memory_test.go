package train

import (
	"testing"

	"gorgonia.org/gorgonia"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/internal/ops"
)

// What is held in a training step of ResNet-18 is no more than PyTorch keeps for the way back: of
// each convolution with its normalisation and rectifier two maps, beside the gradients of the
// parameters.
func TestTrainingHoldsTwoMapsOfAConvolution(t *testing.T) {
	const batch = 4
	network, err := zoo.New("resnet18", builder.Shape{3, 96, 96}, 10)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := builder.NewEngine(builder.EngineNative, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	variables, err := builder.NewVariables(network, engine, network.InitialWeights(1))
	if err != nil {
		t.Fatal(err)
	}
	config, err := Config{}.WithDefaults(network)
	if err != nil {
		t.Fatal(err)
	}
	graph, err := lossGraphOf(network, engine, variables, config, batch, true)
	if err != nil {
		t.Fatal(err)
	}
	memory, err := ops.PlanMemory(graph.Expr,
		append(gorgonia.Nodes{graph.Logits, graph.Data, graph.Total}, graph.Gradients...))
	if err != nil {
		t.Fatal(err)
	}
	convolutions := 0
	for _, node := range network.Nodes() {
		if node.Layer.Kind() == (builder.Conv2D{}).Kind() {
			convolutions += node.Output.Elements()
		}
	}
	gradients := 4 * network.ParameterCount()
	most := gradients + 4*batch*2*convolutions
	if got := int(memory.Bytes()); got > most {
		t.Errorf("%d bytes are held: %d of gradients, and %d of values, want %d of these at most", got,
			gradients, got-gradients, most-gradients)
	}
}
