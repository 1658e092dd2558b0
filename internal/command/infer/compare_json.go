package infer

import (
	"encoding/json"
	"io"

	"slipway/infer/bisect"
)

// compareDocument is what infer compare -json prints; its usage text describes it.
type compareDocument struct {
	Data                string             `json:"data"`
	Images              int                `json:"images"`
	Tolerance           float64            `json:"tolerance"`
	ToleranceFrom       string             `json:"tolerance_from"`
	Of                  string             `json:"of"`
	A                   sideDocument       `json:"a"`
	B                   sideDocument       `json:"b"`
	Agree               bool               `json:"agree"`
	Reason              string             `json:"reason"`
	LabelsDiffer        int                `json:"labels_differ"`
	DecidedLabelsDiffer int                `json:"decided_labels_differ"`
	MaxAbsDiff          *float64           `json:"max_abs_diff"`
	MaxRelDiff          *float64           `json:"max_rel_diff"`
	ScoresRelDiff       *float64           `json:"scores_rel_diff"`
	WorstImage          int                `json:"worst_image"`
	WorstClass          int                `json:"worst_class"`
	Range               float64            `json:"range"`
	NotFinite           int                `json:"not_finite"`
	Histogram           histogramDocument  `json:"histogram"`
	Changed             []changeDocument   `json:"changed"`
	Sheet               *string            `json:"sheet"`
	Bisection           *bisectionDocument `json:"bisection"`
	Notes               []string           `json:"notes"`
}

type sideDocument struct {
	Model           string  `json:"model"`
	Runtime         string  `json:"runtime"`
	Version         string  `json:"version"`
	Provider        string  `json:"provider"`
	Device          string  `json:"device"`
	Threads         int     `json:"threads"`
	Pixels          string  `json:"pixels"`
	Correct         int     `json:"correct"`
	Unanswered      int     `json:"unanswered"`
	Accuracy        float64 `json:"accuracy"`
	ImagesPerSecond float64 `json:"images_per_second"`
}

type histogramDocument struct {
	Equal     int              `json:"equal"`
	NotFinite int              `json:"not_finite"`
	Buckets   []bucketDocument `json:"buckets"`
}

type bucketDocument struct {
	From  float64 `json:"from"`
	To    float64 `json:"to"`
	Count int     `json:"count"`
}

type changeDocument struct {
	Image   int      `json:"image"`
	Label   int      `json:"label"`
	A       *int     `json:"a"`
	B       *int     `json:"b"`
	MarginA *float64 `json:"margin_a"`
	MarginB *float64 `json:"margin_b"`
}

type bisectionDocument struct {
	Structure []structureDocument `json:"structure"`
	Node      *nodeDocument       `json:"node"`
	ExceedsAt *string             `json:"exceeds_at"`
	Nodes     []nodeDocument      `json:"nodes"`
	Notes     []string            `json:"notes"`
}

type structureDocument struct {
	Kind  string `json:"kind"`
	NodeA *int   `json:"node_a"`
	NodeB *int   `json:"node_b"`
	Text  string `json:"text"`
}

type nodeDocument struct {
	Name        string            `json:"name"`
	Operator    string            `json:"operator"`
	Output      string            `json:"output"`
	IndexA      *int              `json:"index_a"`
	IndexB      *int              `json:"index_b"`
	Against     string            `json:"against,omitempty"`
	ShapeA      []int             `json:"shape_a"`
	ShapeB      []int             `json:"shape_b"`
	Missing     string            `json:"missing,omitempty"`
	MaxAbsDiff  *float64          `json:"max_abs_diff"`
	MaxRelDiff  *float64          `json:"max_rel_diff"`
	Index       []int             `json:"index"`
	InputsAgree bool              `json:"inputs_agree"`
	InputsEqual bool              `json:"inputs_equal"`
	NotCompared []string          `json:"inputs_not_compared"`
	Contents    []contentDocument `json:"contents"`
}

type contentDocument struct {
	Kind    string   `json:"kind"`
	Name    string   `json:"name"`
	A       string   `json:"a"`
	B       string   `json:"b"`
	Changed int      `json:"changed,omitempty"`
	Values  int      `json:"values,omitempty"`
	Index   []int    `json:"index,omitempty"`
	ValueA  *float64 `json:"value_a,omitempty"`
	ValueB  *float64 `json:"value_b,omitempty"`
}

func (c *comparison) writeJSON(w io.Writer) error {
	l := c.logits
	d := compareDocument{
		Data: c.set.Name, Images: l.Images, Tolerance: l.Tolerance, ToleranceFrom: l.from(), Of: l.Of,
		ScoresRelDiff: finite(l.ScoresRelDiff), A: c.a.document(), B: c.b.document(),
		Agree: l.Agree(), Reason: l.Reason(), LabelsDiffer: l.LabelsDiffer,
		DecidedLabelsDiffer: l.DecidedLabelsDiffer,
		MaxAbsDiff:          finite(l.MaxAbsDiff), MaxRelDiff: finite(l.MaxRelDiff), WorstImage: l.WorstImage,
		WorstClass: l.WorstClass,
		Range:      l.Range, NotFinite: l.NotFinite,
		Histogram: histogramDocument{Equal: c.histogram.Equal, NotFinite: c.histogram.NotFinite,
			Buckets: []bucketDocument{}},
		// Empty lists, not null.
		Changed: []changeDocument{}, Notes: append([]string{}, c.notes...),
	}
	for _, bucket := range c.histogram.Buckets {
		d.Histogram.Buckets = append(d.Histogram.Buckets, bucketDocument(bucket))
	}
	for _, change := range c.changed {
		d.Changed = append(d.Changed, changeDocument{change.Image, c.set.Label(change.Image),
			atLeast0(change.A), atLeast0(change.B), finite(change.MarginA), finite(change.MarginB)})
	}
	if c.sheet != "" {
		d.Sheet = &c.sheet
	}
	if c.bisected != nil {
		d.Bisection = bisectionOf(c.bisected)
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(d)
}

func (s *side) document() sideDocument {
	info := s.result.Info
	return sideDocument{
		Model: s.modelPath, Runtime: info.Runtime, Version: info.Version, Provider: info.Provider,
		Device:  info.Device,
		Threads: info.Threads, Pixels: s.pixels.String(), Correct: s.result.Correct,
		Unanswered: s.result.Unanswered,
		Accuracy:   s.result.Accuracy(), ImagesPerSecond: s.result.ImagesPerSecond(),
	}
}

func bisectionOf(f *bisect.Finding) *bisectionDocument {
	d := &bisectionDocument{Structure: []structureDocument{}, Nodes: []nodeDocument{},
		Notes: append([]string{}, f.Notes...)}
	for _, s := range f.Structure {
		d.Structure = append(d.Structure, structureDocument{s.Kind, atLeast0(s.NodeA), atLeast0(s.NodeB),
			s.Text})
	}
	for i := range f.Nodes {
		d.Nodes = append(d.Nodes, nodeOf(&f.Nodes[i]))
	}
	if f.Culprit != nil {
		node := nodeOf(f.Culprit)
		d.Node, d.ExceedsAt = &node, &f.First.Name
	}
	return d
}

func nodeOf(n *bisect.Node) nodeDocument {
	d := nodeDocument{
		Name: n.Name, Operator: n.Operator, Output: n.Output, IndexA: atLeast0(n.IndexA),
		IndexB: atLeast0(n.IndexB), Against: n.Against,
		ShapeA: n.ShapeA, ShapeB: n.ShapeB, Missing: n.Missing, Index: n.Index,
		InputsAgree: n.InputsAgree, InputsEqual: n.InputsEqual,
		NotCompared: append([]string{}, n.InputsNotCompared...), Contents: []contentDocument{},
	}
	if n.Compared {
		d.MaxAbsDiff, d.MaxRelDiff = finite(n.MaxAbsDiff), finite(n.MaxRelDiff)
	}
	for _, content := range n.Contents {
		c := contentDocument{Kind: content.Kind, Name: content.Name, A: content.A, B: content.B,
			Changed: content.Changed, Values: content.Values, Index: content.Index}
		if content.Index != nil {
			c.ValueA, c.ValueB = finite(content.ValueA), finite(content.ValueB)
		}
		d.Contents = append(d.Contents, c)
	}
	return d
}

// atLeast0 is a label or a position for JSON, null for -1.
func atLeast0(n int) *int {
	if n < 0 {
		return nil
	}
	return &n
}
