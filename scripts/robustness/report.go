package main

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"slipway/dataset/corrupt"
)

// document is the table that infer robustness -csv wrote.
type document struct {
	data   string // what was corrupted
	images int
	models []model
}

type model struct {
	path        string
	clean       figures
	corruptions []corruption
	unseen      []unseen
}

type corruption struct {
	name      string
	strengths []figures // of strength 1 first
}

type unseen struct {
	data string
	figures
}

type figures struct {
	images                                 int
	accuracy, confidence, above90, above99 float64
}

// read takes the rows of a model after each other: first the data as it is, then its
// corruptions in the order of their strengths, then what the model never saw.
func read(r io.Reader) (document, error) {
	rows, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return document{}, err
	}
	want := []string{"model", "data", "corruption", "strength", "images", "accuracy",
		"mean_confidence", "above_90", "above_99", "unanswered"}
	if len(rows) < 2 || !slices.Equal(rows[0], want) {
		return document{}, fmt.Errorf("it has other columns than %v", want)
	}
	d := document{data: rows[1][1]}
	for i, row := range rows[1:] {
		strength, strengthErr := strconv.Atoi(row[3])
		images, imagesErr := strconv.Atoi(row[4])
		f := figures{images: images}
		errs := []error{strengthErr, imagesErr}
		for column, target := range []*float64{&f.accuracy, &f.confidence, &f.above90, &f.above99} {
			var err error
			*target, err = strconv.ParseFloat(row[5+column], 64)
			errs = append(errs, err)
		}
		if err := errors.Join(errs...); err != nil {
			return document{}, fmt.Errorf("line %d: %w", i+2, err)
		}
		if len(d.models) == 0 || d.models[len(d.models)-1].path != row[0] {
			d.models = append(d.models, model{path: row[0], clean: f})
			d.images = images
			continue
		}
		m := &d.models[len(d.models)-1]
		switch {
		case strength == 0:
			m.unseen = append(m.unseen, unseen{row[1], f})
		case strength == 1:
			m.corruptions = append(m.corruptions, corruption{row[2], []figures{f}})
		case len(m.corruptions) > 0 && m.corruptions[len(m.corruptions)-1].name == row[2]:
			c := &m.corruptions[len(m.corruptions)-1]
			c.strengths = append(c.strengths, f)
		default:
			return document{}, fmt.Errorf("line %d: strength %d of %s has none before it", i+2, strength,
				row[2])
		}
	}
	for _, m := range d.models {
		if len(m.corruptions) != len(d.models[0].corruptions) ||
			len(m.unseen) != len(d.models[0].unseen) {
			return document{}, fmt.Errorf("%s has other rows than %s", m.path, d.models[0].path)
		}
	}
	return d, nil
}

func (c corruption) mean() float64 {
	sum := 0.
	for _, s := range c.strengths {
		sum += s.accuracy
	}
	return sum / float64(len(c.strengths))
}

func (m model) mean() float64 {
	sum := 0.
	for _, c := range m.corruptions {
		sum += c.mean()
	}
	return sum / float64(len(m.corruptions))
}

func (m model) name() string {
	return strings.ToUpper(strings.TrimSuffix(filepath.Base(m.path), ".onnx"))
}

func percent(x float64) string { return fmt.Sprintf("%.2f", 100*x) }

// markdown writes the report; no figure in it is written by hand.
func (d document) markdown() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `# Robustness

What the exported graphs answer where images are not those of the test set: damaged by fifteen corruptions of five strengths, written by
other people, or no digits at all. Made by

    make robustness

which runs

    bin/infer robustness -model e1.onnx -model e2.onnx -unseen optdigits,fashion

through onnxruntime. The command takes any ONNX image classifier, and package `+"`dataset/corrupt`"+` has the corruptions for Go.

**One E1 and one E2 decide nothing.** Another seed gives other figures. The study e1-e2 asks over ten seeds of each whether E2 is more robust; this page
shows the tool, and what the two graphs of the repository do.

## The corruptions

![every corruption at strengths 1 to 5, the image itself first](robustness/corruptions.png)

| corruption | strengths 1 to 5 |
| --- | --- |
`)
	for _, name := range corrupt.Names() {
		fmt.Fprintf(&b, "| %s | %s |\n", name, corrupt.Describe(name))
	}
	fmt.Fprintf(&b, `
Nine are among the fifteen of MNIST-C ([Mu and Gilmer, 2019](https://arxiv.org/abs/1906.02337)): shot and impulse noise, motion blur, rotate, shift,
scale, shear, brightness and spatter. Gaussian noise, Gaussian blur and contrast are of ImageNet-C ([Hendrycks and Dietterich,
2019](https://arxiv.org/abs/1903.12261)). Occlusion, thicken and thin are added. The files of `+"`dataset/corrupt`"+` say where each departs from its source. An image
is a function of the corruption, its strength, the seed, and the image's index: it has the same bits on every machine. What has no chance in it is compared with SciPy and scikit-image, to a grey
level; noise by its mean and deviation (`+"`scripts/golden/make-golden corruptions`"+`).

## Accuracy

%d images of %s, accuracy in %%.

![accuracy by strength](robustness/e1-e2.svg)

`, d.images, d.data)
	d.accuracyTable(&b)
	d.findings(&b)
	fmt.Fprint(&b, `
All figures, with confidences: [e1-e2.csv](robustness/e1-e2.csv).

## What the models never saw

`+"`optdigits`"+` are the 1,797 test digits of UCI's Optical Recognition of Handwritten Digits: other people, another scanner, 8×8 pixels scaled up to the
20×20 box that MNIST's digits fill. `+"`fashion`"+` is Fashion-MNIST's test set: clothes and shoes, which no answer from 0 to 9 fits; its accuracy is
left out. Confidence is the largest class probability. `+"`dataset fetch optdigits`"+` and `+"`dataset fetch fashion`"+` bring them.

`)
	d.confidenceTable(&b)
	d.confidenceFindings(&b)
	return b.Bytes()
}

func (d document) accuracyTable(b *bytes.Buffer) {
	fmt.Fprint(b, "| corruption |")
	for _, m := range d.models {
		for strength := 1; strength <= corrupt.Strengths; strength++ {
			fmt.Fprintf(b, " %s %d |", m.name(), strength)
		}
		fmt.Fprintf(b, " **%s mean** |", m.name())
	}
	fmt.Fprint(b, "\n| --- |", strings.Repeat(" ---: |", len(d.models)*(corrupt.Strengths+1)), "\n")
	fmt.Fprint(b, "| none |")
	for _, m := range d.models {
		fmt.Fprint(b, strings.Repeat(" |", corrupt.Strengths))
		fmt.Fprintf(b, " **%s** |", percent(m.clean.accuracy))
	}
	fmt.Fprintln(b)
	for c := range d.models[0].corruptions {
		fmt.Fprintf(b, "| %s |", d.models[0].corruptions[c].name)
		for _, m := range d.models {
			for _, s := range m.corruptions[c].strengths {
				fmt.Fprintf(b, " %s |", percent(s.accuracy))
			}
			fmt.Fprintf(b, " **%s** |", percent(m.corruptions[c].mean()))
		}
		fmt.Fprintln(b)
	}
	fmt.Fprint(b, "| **mean** |")
	for _, m := range d.models {
		for strength := range corrupt.Strengths {
			sum := 0.
			for _, c := range m.corruptions {
				sum += c.strengths[strength].accuracy
			}
			fmt.Fprintf(b, " **%s** |", percent(sum/float64(len(m.corruptions))))
		}
		fmt.Fprintf(b, " **%s** |", percent(m.mean()))
	}
	fmt.Fprintln(b)
}

// findings says in sentences what the table holds.
func (d document) findings(b *bytes.Buffer) {
	fmt.Fprintln(b)
	for _, m := range d.models {
		sorted := slices.Clone(m.corruptions)
		slices.SortFunc(sorted, func(x, y corruption) int { return cmp.Compare(x.mean(), y.mean()) })
		last := sorted[len(sorted)-1]
		fmt.Fprintf(b,
			"- %s: %s %% on the images as they are, %s %% on average over all corruptions and strengths. It suffers most from %s (%s %%), %s (%s %%) and %s (%s %%), least from %s (%s %%).\n",
			m.name(), percent(m.clean.accuracy), percent(m.mean()), sorted[0].name,
			percent(sorted[0].mean()), sorted[1].name, percent(sorted[1].mean()),
			sorted[2].name, percent(sorted[2].mean()), last.name, percent(last.mean()))
	}
	one, two := d.models[0], d.models[1]
	var ahead, behind []string
	for c := range one.corruptions {
		difference := two.corruptions[c].mean() - one.corruptions[c].mean()
		text := fmt.Sprintf("%s (%+.2f)", one.corruptions[c].name, 100*difference)
		if difference > 0 {
			ahead = append(ahead, text)
		} else {
			behind = append(behind, text)
		}
	}
	fmt.Fprintf(b,
		"- This %s is ahead of this %s, in points of mean accuracy, on %d of %d corruptions: %s. It is not on: %s.\n",
		two.name(), one.name(), len(ahead), len(one.corruptions), orNone(ahead), orNone(behind))
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

func (d document) confidenceTable(b *bytes.Buffer) {
	fmt.Fprint(b,
		"| data | model | images | accuracy (%) | mean confidence (%) | over 90 % sure | over 99 % sure |\n| --- | --- | ---: | ---: | ---: | ---: | ---: |\n")
	row := func(data, model, accuracy string, f figures) {
		fmt.Fprintf(b, "| %s | %s | %d | %s | %s | %s %% | %s %% |\n", data, model, f.images, accuracy,
			percent(f.confidence), percent(f.above90), percent(f.above99))
	}
	for _, m := range d.models {
		row(d.data, m.name(), percent(m.clean.accuracy), m.clean)
	}
	for u := range d.models[0].unseen {
		for _, m := range d.models {
			accuracy := percent(m.unseen[u].accuracy)
			if m.unseen[u].data == "fashion" {
				accuracy = "–"
			}
			row(m.unseen[u].data, m.name(), accuracy, m.unseen[u].figures)
		}
	}
}

func (d document) confidenceFindings(b *bytes.Buffer) {
	fmt.Fprintln(b)
	for _, m := range d.models {
		for _, u := range m.unseen {
			if u.data == "fashion" {
				fmt.Fprintf(b, "- %s is more than 99 %% sure of %s %% of the clothes and shoes.\n", m.name(),
					percent(u.above99))
			}
		}
	}
}
