package builder_test

import (
	"testing"

	"slipway/builder"
)

// given are attributes of a test.
type given map[string]any

func (g given) Float(name string, otherwise float64) float64 {
	if value, ok := g[name].(float64); ok {
		return value
	}
	return otherwise
}

func (g given) String(name string) string {
	text, _ := g[name].(string)
	return text
}

// What a layer writes as one operator it reads from it, with its settings.
func TestLayersReadTheirOwnOperator(t *testing.T) {
	importers := builder.Importers()
	read := make(map[string]bool)
	for _, c := range builder.Cases() {
		importer, ok := c.Layer.(builder.Importer)
		if !ok {
			continue
		}
		inferred, err := c.Layer.Infer(c.Inputs)
		if err != nil {
			t.Fatal(err)
		}
		network, err := builder.New("one", c.Inputs[0], c.Layer)
		if err != nil {
			t.Fatal(err)
		}
		operators, err := network.Operators("x")
		if err != nil {
			t.Fatal(err)
		}
		if len(operators.Nodes) != 1 {
			continue // written as several, where opset 13 lacks the operator
		}
		operator := operators.Nodes[0]
		attributes := make(given)
		for _, attribute := range operator.Attributes {
			if number, ok := attribute.Value.(float32); ok {
				attributes[attribute.Name] = float64(number)
			}
		}
		if importers[operator.Type] == nil || importer.Operator() != operator.Type {
			t.Errorf("%s is written as %s and read from %s", c.Layer.Kind(), operator.Type,
				importer.Operator())
			continue
		}
		layer, err := importer.Import(attributes)
		if err != nil {
			t.Errorf("%s: %v", c.Layer.Kind(), err)
			continue
		}
		again, err := layer.Infer(c.Inputs)
		if err != nil {
			t.Fatal(err)
		}
		if again.Layer.Kind() != inferred.Layer.Kind() {
			t.Errorf("%s is read as %s", c.Layer.Kind(), again.Layer.Kind())
		}
		read[operator.Type] = true
	}
	for _, operator := range []string{"Relu", "LeakyRelu", "Elu", "Sigmoid", "Tanh", "Softplus",
		"HardSigmoid"} {
		if !read[operator] {
			t.Errorf("no case is read from %s", operator)
		}
	}
}
