package builder

// Importer is a layer that ONNX has one operator of one input for, and that reads itself from it.
// What is made of several operators, or has tensors, is recognised by package onnx.
type Importer interface {
	Layer
	// Operator is the operator's type, whatever the layer's settings.
	Operator() string
	// Import returns the layer that the operator with these attributes is. The error says which of
	// them no setting of the layer expresses.
	Import(attributes Attributes) (Layer, error)
}

// Importers returns the layers of Registered that read themselves from an operator, by its type.
func Importers() map[string]Importer {
	all := make(map[string]Importer)
	for _, layer := range Registered() {
		if importer, ok := layer.(Importer); ok {
			all[importer.Operator()] = importer
		}
	}
	return all
}

// Attributes are those of an ONNX operator in a file.
type Attributes interface {
	// Float returns a number as it was written, 0.1 rather than the float32 next to it, or otherwise
	// where the operator does not give it.
	Float(name string, otherwise float64) float64
	// String returns a text, empty where the operator does not give it.
	String(name string) string
}
