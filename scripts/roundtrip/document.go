package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// tolerance is how far scores may be apart, of their range.
const tolerance = 1e-5

// whole reports whether a network holds every float tensor of the framework's, learns every number
// and computes the same.
func (r result) whole() bool {
	return r.Error == "" && r.refusal == "" && r.floats == r.Floats && r.norms == r.Norms &&
		r.learned == r.Learned && r.difference <= tolerance
}

// outcome is the table's verdict.
func (r result) outcome() string {
	switch {
	case r.Error != "":
		return "not exported"
	case r.refusal != "":
		return "refused"
	case !(r.difference <= tolerance):
		return "differs"
	case !r.whole():
		return "yes, folded"
	}
	return "yes"
}

const introduction = `# Networks of other frameworks

Which published networks, as their frameworks export them, become networks of the builder that train on: what
` + "`train -from`" + ` and ` + "`convert.ToNetwork`" + ` make of the file. Each has random weights, with running statistics, scales and shifts
that were moved away from 0 and 1; images are 3×64×64, classes 10. Written by ` + "`scripts/roundtrip/make-roundtrip`" + `.

- *network*: "yes" is a network with every tensor of float32 that the framework's has, learned or kept, that learns as
  many numbers, and whose scores on the native engine are within 1e-5 of their range of onnxruntime's. "yes, folded" is one
  that computes the same with fewer tensors: the exporter has folded batch normalisation into convolutions.
- *exporter*: "dynamo" is torch.onnx.export with optimize=False, which leaves batch normalisation alone; by its default, "dynamo,
  optimised", that is folded. "torchscript" is the older one, dynamo=False, with training=TrainingMode.PRESERVE for the same reason.
- *opset*: the one asked for, and the one that the file is of where that is another.
- *BatchNorm*, *tensors*, *numbers learned*: of the network, and of the framework's where that is another.
- *difference*: the largest of two scores, ours and onnxruntime's, of their range; and onnxruntime's from the framework's own.

`

// document is the report.
func document(all []result) string {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b result) int {
		return cmp.Or(cmp.Compare(b.Framework, a.Framework), cmp.Compare(a.Network, b.Network),
			cmp.Compare(a.Exporter, b.Exporter), cmp.Compare(a.Asked, b.Asked))
	})
	var text strings.Builder
	text.WriteString(introduction)
	whole, folded := 0, 0
	for _, r := range all {
		switch r.outcome() {
		case "yes":
			whole++
		case "yes, folded":
			folded++
		}
	}
	fmt.Fprintf(&text,
		"Of %d files, %d become networks with every tensor, and %d with batch normalisation folded by the exporter.\n\n",
		len(all), whole, folded)
	text.WriteString(
		"| network | of | exporter | opset | network | layers | BatchNorm | tensors | numbers learned | difference | onnxruntime's |\n")
	text.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	var reasons []string
	for _, r := range all {
		opset := fmt.Sprint(r.Asked)
		if r.Opset != r.Asked && r.Opset != 0 {
			opset += fmt.Sprintf(", is %d", r.Opset)
		}
		fmt.Fprintf(&text, "| %s | %s | %s | %s | %s |", r.Network, r.Framework, r.Exporter, opset,
			r.outcome())
		switch {
		case r.Error != "":
			reasons = append(reasons, fmt.Sprintf("- %s, %s, opset %s: the exporter says: %s", r.Network,
				r.Exporter, opset, r.Error))
		case r.refusal != "":
			reasons = append(reasons, fmt.Sprintf("- %s, %s, opset %s: %s", r.Network, r.Exporter, opset,
				strings.ReplaceAll(r.refusal, "\n  ", "\n  - ")))
		}
		if r.Error != "" || r.refusal != "" {
			text.WriteString(strings.Repeat(" |", 6) + "\n")
			continue
		}
		fmt.Fprintf(&text, " %d | %s | %s | %s | %.1e | %.1e |\n", r.layers, of(r.norms, r.Norms),
			of(r.floats, r.Floats), of(r.learned, r.Learned), r.difference, r.Difference)
	}
	if len(reasons) > 0 {
		fmt.Fprintf(&text, "\n## What is refused, and why\n\n%s\n", strings.Join(reasons, "\n"))
	}
	return text.String()
}

func of(ours, theirs int) string {
	if ours == theirs {
		return fmt.Sprint(ours)
	}
	return fmt.Sprintf("%d of %d", ours, theirs)
}
