package infer

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"slipway/dataset/corrupt"
	"slipway/infer"
	"slipway/internal/display"
)

func (r *robustness) writeText(out io.Writer) error {
	var b bytes.Buffer
	info := r.models[0].measured.Info
	fmt.Fprintf(&b, "data     %s: %d images %d×%d×%d, corruptions of seed %d\n", r.set.Name,
		r.set.Len(), r.set.Channels, r.set.Height, r.set.Width, r.options.seed)
	fmt.Fprintf(&b, "runtime  %s %s, %s on %s, %d threads\n", info.Runtime, info.Version,
		info.Provider, info.Device, info.Threads)
	for _, note := range r.notes {
		fmt.Fprintf(&b, "note     %s\n", note)
	}
	for i, model := range r.models {
		fmt.Fprintf(&b, "model %s  %s, fed as %s: %s on the data as it is\n", letter(i), model.modelPath,
			model.pixels,
			infer.FormatAccuracy(model.measured.Clean.Accuracy))
	}
	if len(r.options.corruptions) > 0 {
		for i, model := range r.models {
			writeStrengths(&b, letter(i), model.measured)
		}
		if len(r.models) > 1 {
			r.writeMeans(&b)
		}
	}
	r.writeConfidence(&b)
	_, err := out.Write(b.Bytes())
	return err
}

// letter names a model in tables: A, B, …, Z, then 27, 28, ….
func letter(i int) string {
	if i < 26 {
		return string(rune('A' + i))
	}
	return strconv.Itoa(i + 1)
}

func percent(x float64) string { return fmt.Sprintf("%.2f", 100*x) }

func writeStrengths(w io.Writer, name string, m infer.Robustness) {
	fmt.Fprintf(w, "\nmodel %s: accuracy in %% by strength\n", name)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for strength := 1; strength <= corrupt.Strengths; strength++ {
		fmt.Fprintf(t, "\t%d", strength)
	}
	fmt.Fprint(t, "\tmean\t\n")
	for _, c := range m.Corruptions {
		fmt.Fprint(t, c.Name)
		for _, s := range c.Strengths {
			fmt.Fprintf(t, "\t%s", percent(s.Accuracy))
		}
		fmt.Fprintf(t, "\t%s\t\n", percent(c.Mean()))
	}
	fmt.Fprint(t, "mean")
	for strength := 1; strength <= corrupt.Strengths; strength++ {
		fmt.Fprintf(t, "\t%s", percent(m.MeanAt(strength)))
	}
	fmt.Fprintf(t, "\t%s\t\n", percent(m.Mean()))
	t.Flush()
}

// writeMeans puts the models beside each other.
func (r *robustness) writeMeans(w io.Writer) {
	fmt.Fprint(w, "\nmean accuracy in % over the strengths\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for i := range r.models {
		fmt.Fprintf(t, "\t%s", letter(i))
	}
	fmt.Fprint(t, "\t\n")
	for c, name := range r.options.corruptions {
		fmt.Fprint(t, name)
		for _, model := range r.models {
			fmt.Fprintf(t, "\t%s", percent(model.measured.Corruptions[c].Mean()))
		}
		fmt.Fprint(t, "\t\n")
	}
	fmt.Fprint(t, "mean")
	for _, model := range r.models {
		fmt.Fprintf(t, "\t%s", percent(model.measured.Mean()))
	}
	fmt.Fprint(t, "\t\n")
	t.Flush()
}

// writeConfidence tells how sure the models are of the data and of what they never saw.
func (r *robustness) writeConfidence(w io.Writer) {
	fmt.Fprint(w, "\nconfidence: the largest class probability, in %\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "data\tmodel\timages\taccuracy\tmean\tover 90\tover 99\t\n")
	row := func(data string, i int, c infer.Confidence) {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t\n", data, letter(i), c.Images, percent(c.Accuracy),
			percent(c.Mean), percent(c.Above90), percent(c.Above99))
	}
	for i, model := range r.models {
		row(r.set.Name, i, model.measured.Clean)
	}
	for u, name := range r.options.unseen {
		for i, model := range r.models {
			row(name, i, model.unseen[u])
		}
	}
	t.Flush()
}

// robustnessDocument is what -json prints; the usage text describes it.
type robustnessDocument struct {
	Data   string                    `json:"data"`
	Images int                       `json:"images"`
	Seed   uint64                    `json:"seed"`
	Models []robustnessModelDocument `json:"models"`
	Notes  []string                  `json:"notes"`
}

type robustnessModelDocument struct {
	Model       string                     `json:"model"`
	Pixels      string                     `json:"pixels"`
	Runtime     string                     `json:"runtime"`
	Version     string                     `json:"version"`
	Provider    string                     `json:"provider"`
	Device      string                     `json:"device"`
	Threads     int                        `json:"threads"`
	Clean       confidenceDocument         `json:"clean"`
	Corruptions []corruptionResultDocument `json:"corruptions"`
	Mean        *float64                   `json:"mean"`
	Unseen      []unseenDocument           `json:"unseen"`
}

type corruptionResultDocument struct {
	Name      string               `json:"name"`
	Strengths []confidenceDocument `json:"strengths"`
	Mean      float64              `json:"mean"`
}

type unseenDocument struct {
	Data string `json:"data"`
	confidenceDocument
}

type confidenceDocument struct {
	Images     int     `json:"images"`
	Accuracy   float64 `json:"accuracy"`
	Mean       float64 `json:"mean_confidence"`
	Above90    float64 `json:"above_90"`
	Above99    float64 `json:"above_99"`
	Unanswered int     `json:"unanswered"`
}

func (r *robustness) writeJSON(w io.Writer) error {
	d := robustnessDocument{
		Data: r.set.Name, Images: r.set.Len(), Seed: r.options.seed,
		Notes: append([]string{}, r.notes...), // an empty list, not null
	}
	for _, model := range r.models {
		m := model.measured
		document := robustnessModelDocument{
			Model: model.modelPath, Pixels: model.pixels.String(), Runtime: m.Info.Runtime,
			Version:  m.Info.Version,
			Provider: m.Info.Provider, Device: m.Info.Device, Threads: m.Info.Threads,
			Clean:       confidenceDocument(m.Clean),
			Corruptions: []corruptionResultDocument{}, Unseen: []unseenDocument{},
		}
		for _, c := range m.Corruptions {
			result := corruptionResultDocument{Name: c.Name, Mean: c.Mean()}
			for _, s := range c.Strengths {
				result.Strengths = append(result.Strengths, confidenceDocument(s))
			}
			document.Corruptions = append(document.Corruptions, result)
		}
		if len(m.Corruptions) > 0 {
			mean := m.Mean()
			document.Mean = &mean
		}
		for u, name := range r.options.unseen {
			document.Unseen = append(document.Unseen,
				unseenDocument{name, confidenceDocument(model.unseen[u])})
		}
		d.Models = append(d.Models, document)
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(d)
}

func (r *robustness) writeCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	rows := [][]string{{"model", "data", "corruption", "strength", "images", "accuracy",
		"mean_confidence", "above_90", "above_99", "unanswered"}}
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	for _, model := range r.models {
		add := func(data, corruption string, strength int, c infer.Confidence) {
			rows = append(rows, []string{display.Cell(model.modelPath), display.Cell(data), corruption,
				strconv.Itoa(strength), strconv.Itoa(c.Images),
				number(c.Accuracy), number(c.Mean), number(c.Above90), number(c.Above99),
				strconv.Itoa(c.Unanswered)})
		}
		add(r.set.Name, "", 0, model.measured.Clean)
		for _, c := range model.measured.Corruptions {
			for i, s := range c.Strengths {
				add(r.set.Name, c.Name, i+1, s)
			}
		}
		for u, name := range r.options.unseen {
			add(name, "", 0, model.unseen[u])
		}
	}
	return out.WriteAll(rows)
}
