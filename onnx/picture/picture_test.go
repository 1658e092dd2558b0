package picture

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"slipway/onnx"
)

// chain is input → Conv → Relu → output.
func chain() onnx.Report {
	value := func(name string, dims ...int64) onnx.Value {
		v := onnx.Value{Name: name, HasShape: true}
		for _, d := range dims {
			v.Dims = append(v.Dims, onnx.Dim{Size: d})
		}
		return v
	}
	return onnx.Report{
		GraphName: "chain", Inputs: []onnx.Value{value("x", 1, 2)},
		Outputs: []onnx.Value{value("z", 1, 4)},
		Nodes: []onnx.NodeReport{
			{Name: "first", Operator: "Conv",
				Attributes: []onnx.AttributeReport{{Name: "kernel_shape", Value: "[5, 5]"}},
				Inputs:     []onnx.Value{value("x", 1, 2), value("first.weight", 4, 2, 5, 5)},
				Outputs:    []onnx.Value{value("y", 1, 3)}},
			{Name: "<b>&", Operator: "Relu", Inputs: []onnx.Value{value("y", 1, 3)},
				Outputs: []onnx.Value{value("z", 1, 4)}},
		},
	}
}

func TestChain(t *testing.T) {
	svg, err := SVG(chain())
	if err != nil {
		t.Fatal(err)
	}
	texts := wellFormed(t, svg)
	for _, want := range []string{"Conv 5×5", "first", "weight 4×2×5×5", "Relu", "<b>&", "x", "z",
		"1×2", "1×3"} {
		if !texts[want] {
			t.Errorf("the picture does not say %q: %s", want, svg)
		}
	}
	again, err := SVG(chain())
	if err != nil || !bytes.Equal(svg, again) {
		t.Errorf("a second picture has other bytes (%v)", err)
	}
	// A chain is a column: all boxes have one middle.
	l, err := collect(chain()).layout()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range l.places {
		if p.x != l.places[0].x {
			t.Errorf("place %+v is not below %+v", p, l.places[0])
		}
	}
}

// wellFormed parses the picture and returns its texts.
func wellFormed(t *testing.T, svg []byte) map[string]bool {
	t.Helper()
	texts := make(map[string]bool)
	decoder := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return texts
		}
		if err != nil {
			t.Fatalf("not well formed: %v\n%s", err, svg)
		}
		if text, ok := token.(xml.CharData); ok {
			texts[string(text)] = true
		}
	}
}

// In any graph boxes do not overlap, lines lead down, and nothing leaves the
// picture.
func TestLayoutOfRandomGraphs(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		g := &graph{}
		n := 1 + random.IntN(60)
		for i := range n {
			g.add(box{title: strings.Repeat("x", 1+random.IntN(30)), lines: make([]string, random.IntN(4))})
			for range random.IntN(4) {
				if i > 0 {
					g.edges = append(g.edges, edge{random.IntN(i), i, "N×1"})
				}
			}
		}
		l, err := g.layout()
		if err != nil {
			t.Fatal(err)
		}
		for _, layer := range l.layers {
			for i := 1; i < len(layer); i++ {
				a, b := l.places[layer[i-1]], l.places[layer[i]]
				if b.x-b.width/2-(a.x+a.width/2) < gapX-1e-6 {
					t.Fatalf("%+v and %+v are too near", a, b)
				}
			}
		}
		for _, p := range l.places {
			if p.x-p.width/2 < margin-1e-6 || p.x+p.width/2 > l.width-margin+1e-6 ||
				p.y-p.height/2 < margin-1e-6 || p.y+p.height/2 > l.height-margin+1e-6 {
				t.Fatalf("%+v leaves the picture of %v×%v", p, l.width, l.height)
			}
		}
		if len(l.routes) != len(g.edges) {
			t.Fatalf("%d of %d lines are drawn", len(l.routes), len(g.edges))
		}
		for _, r := range l.routes {
			for i := 1; i < len(r.through); i++ {
				if l.places[r.through[i]].layer != l.places[r.through[i-1]].layer+1 {
					t.Fatalf("the line %v leaps", r.through)
				}
			}
		}
	}
}

// A vertex is placed below the middle of those above it.
func TestNeighboursAreNear(t *testing.T) {
	g := &graph{}
	for range 4 {
		g.add(box{title: "x"})
	}
	g.edges = []edge{{0, 1, ""}, {0, 2, ""}, {1, 3, ""}, {2, 3, ""}}
	l, err := g.layout()
	if err != nil {
		t.Fatal(err)
	}
	middle := (l.places[1].x + l.places[2].x) / 2
	if l.places[0].x != middle || l.places[3].x != middle {
		t.Errorf("a diamond is not symmetric: %+v", l.places)
	}
}

func TestPicturesThatShowNothing(t *testing.T) {
	large := onnx.Report{Nodes: make([]onnx.NodeReport, maxNodes+1)}
	if _, err := SVG(large); err == nil || !strings.Contains(err.Error(), "would show nothing") {
		t.Errorf("%d nodes: %v", len(large.Nodes), err)
	}
	// Every node takes what all before it make: as many lines as can be.
	var dense onnx.Report
	var values []onnx.Value
	for i := range 1900 {
		output := onnx.Value{Name: fmt.Sprint(i)}
		dense.Nodes = append(dense.Nodes, onnx.NodeReport{Operator: "Sum",
			Inputs: values[max(0, len(values)-300):], Outputs: []onnx.Value{output}})
		values = append(values, output)
	}
	if _, err := SVG(dense); err == nil {
		t.Error("half a million lines were drawn")
	}
	empty, err := SVG(onnx.Report{})
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, empty)
	// In a model that Check refuses, names may be used before they are made.
	hostile := chain()
	hostile.Nodes[0], hostile.Nodes[1] = hostile.Nodes[1], hostile.Nodes[0]
	hostile.Nodes[0].Name = "bell\a\x00\xff</svg>"
	svg, err := SVG(hostile)
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, svg)
}
