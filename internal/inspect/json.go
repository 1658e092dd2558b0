package inspect

import (
	"bytes"
	"encoding/json"
	"fmt"

	"slipway/infer"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

type document struct {
	File                string                `json:"file"`
	SHA256              string                `json:"sha256"`
	Bytes               int64                 `json:"bytes"`
	ExternalBytes       int64                 `json:"external_bytes"`
	IRVersion           int64                 `json:"ir_version"`
	Opsets              []opsetDocument       `json:"opsets"`
	Producer            string                `json:"producer"`
	ProducerVersion     string                `json:"producer_version"`
	Graph               string                `json:"graph"`
	Description         string                `json:"description"`
	Inputs              []valueDocument       `json:"inputs"`
	Outputs             []valueDocument       `json:"outputs"`
	Initializers        []initializerDocument `json:"initializers"`
	Parameters          int64                 `json:"parameters"`
	ParameterBytes      int64                 `json:"parameter_bytes"`
	MultiplyAdds        int64                 `json:"multiply_adds"`
	MultiplyAddsPartial bool                  `json:"multiply_adds_partial"`
	Batch               *int64                `json:"batch"`
	Nodes               []nodeDocument        `json:"nodes"`
	Functions           int                   `json:"functions"`
	NotChecked          []string              `json:"not_checked"`
	Metadata            map[string]string     `json:"metadata"`
	Notes               []string              `json:"notes"`
	Problem             *string               `json:"problem"`
	Runtimes            []runtimeDocument     `json:"runtimes"`
}

type opsetDocument struct {
	Domain  string `json:"domain"`
	Version int64  `json:"version"`
}

// valueDocument has a shape of numbers and names; a dimension of neither, and a
// shape that is not known, are null.
type valueDocument struct {
	Name  string  `json:"name"`
	Type  *string `json:"type"`
	Shape []any   `json:"shape"`
}

type initializerDocument struct {
	Type    string `json:"type"`
	Tensors int    `json:"tensors"`
	Values  int64  `json:"values"`
	Bytes   int64  `json:"bytes"`
}

type nodeDocument struct {
	Name         string            `json:"name"`
	Operator     string            `json:"operator"`
	Attributes   map[string]string `json:"attributes"`
	Inputs       []valueDocument   `json:"inputs"`
	Outputs      []valueDocument   `json:"outputs"`
	Parameters   int64             `json:"parameters"`
	MultiplyAdds int64             `json:"multiply_adds"`
}

type runtimeDocument struct {
	Runtime     string           `json:"runtime"`
	Version     string           `json:"version"`
	Expectation string           `json:"expectation"`
	Reasons     []reasonDocument `json:"reasons"`
}

type reasonDocument struct {
	Text   string `json:"text"`
	Source string `json:"source"`
}

// JSON is what inspect -json prints; the command's help describes it.
func (i *Inspection) JSON() ([]byte, error) {
	r := i.Report
	d := document{
		File: i.File, SHA256: i.SHA256, Bytes: r.Bytes, ExternalBytes: r.ExternalBytes,
		IRVersion: r.IRVersion,
		Producer:  r.Producer, ProducerVersion: r.ProducerVersion, Graph: r.GraphName,
		Description: r.DocString,
		Inputs:      valuesOf(r.Inputs), Outputs: valuesOf(r.Outputs),
		Parameters: r.Parameters, ParameterBytes: r.ParameterBytes, MultiplyAdds: r.MultiplyAdds,
		MultiplyAddsPartial: r.MultiplyAddsPartial,
		Functions:           r.Functions, NotChecked: []string{}, Metadata: map[string]string{},
		Notes: append([]string{}, r.Notes...), Opsets: []opsetDocument{},
		Initializers: []initializerDocument{}, Nodes: []nodeDocument{}, Runtimes: []runtimeDocument{},
	}
	for _, set := range r.Opsets {
		d.Opsets = append(d.Opsets, opsetDocument(set))
	}
	for _, line := range r.Initializers {
		d.Initializers = append(d.Initializers, initializerDocument{line.Type, line.Tensors,
			line.Elements, line.Bytes})
	}
	for _, node := range r.Nodes {
		d.Nodes = append(d.Nodes, nodeOf(node))
	}
	for _, entry := range r.Metadata {
		d.Metadata[entry.Key] = entry.Value
	}
	if r.Batch >= 0 {
		d.Batch = &r.Batch
	}
	if r.Problem != "" {
		d.Problem = &r.Problem
	} else {
		d.NotChecked = append(d.NotChecked, r.Unchecked()...)
	}
	for _, v := range i.Runtimes {
		d.Runtimes = append(d.Runtimes, runtimeOf(v))
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(d); err != nil {
		return nil, fmt.Errorf("%s: as JSON: %w", i.File, err)
	}
	return b.Bytes(), nil
}

func valuesOf(values []onnx.Value) []valueDocument {
	documents := []valueDocument{}
	for _, value := range values {
		d := valueDocument{Name: value.Name}
		if value.Type != onnxpb.TensorProto_UNDEFINED {
			name := value.TypeString()
			d.Type = &name
		}
		if value.HasShape {
			d.Shape = []any{}
			for _, dim := range value.Dims {
				switch {
				case dim.Known():
					d.Shape = append(d.Shape, dim.Size)
				case dim.Name != "":
					d.Shape = append(d.Shape, dim.Name)
				default:
					d.Shape = append(d.Shape, nil)
				}
			}
		}
		documents = append(documents, d)
	}
	return documents
}

func nodeOf(node onnx.NodeReport) nodeDocument {
	d := nodeDocument{
		Name: node.Name, Operator: node.Operator, Attributes: map[string]string{},
		Inputs: valuesOf(node.Inputs), Outputs: valuesOf(node.Outputs),
		Parameters: node.Parameters, MultiplyAdds: node.MultiplyAdds,
	}
	for _, a := range node.Attributes {
		d.Attributes[a.Name] = a.Value
	}
	return d
}

func runtimeOf(v infer.Verdict) runtimeDocument {
	d := runtimeDocument{v.Runtime, v.Version, string(v.Expectation), []reasonDocument{}}
	for _, reason := range v.Reasons {
		d.Reasons = append(d.Reasons, reasonDocument(reason))
	}
	return d
}
