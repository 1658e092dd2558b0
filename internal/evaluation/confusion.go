package evaluation

import (
	"cmp"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"slipway/internal/chart"
	"slipway/internal/display"
	"slipway/internal/document"
	"slipway/metrics"
)

const (
	// mostDrawn is the most classes of which each has a row of its own; of more, mostGrouped
	// have, and the others share one.
	mostDrawn, mostGrouped = 100, 40
	// mostNumbered is the most rows whose shares are written into their cells.
	mostNumbered = 20
	// mostPairs is the most confusions that are told in words.
	mostPairs = 10
	// longestName is the most characters of a class's name at an axis.
	longestName = 24
	// upright is the most characters of names that stand side by side below the columns.
	upright = 3
)

// pair is the images of a label that get one wrong answer.
type pair struct {
	label, answer, images int
	// ofLabel is the number of images with the label.
	ofLabel int
}

// pairsOf counts the answers to each label, the right ones too, in the order of the labels and
// answers.
func pairsOf(answers []metrics.Answer) []pair {
	counts, supports := make(map[[2]int]int), make(map[int]int)
	for _, a := range answers {
		supports[a.Label]++
		if a.Class >= 0 {
			counts[[2]int{a.Label, a.Class}]++
		}
	}
	pairs := make([]pair, 0, len(counts))
	for key, n := range counts {
		pairs = append(pairs, pair{key[0], key[1], n, supports[key[0]]})
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.label, b.label), cmp.Compare(a.answer, b.answer))
	})
	return pairs
}

// mostConfused are the wrong ones, most frequent first.
func mostConfused(pairs []pair) []pair {
	wrong := slices.DeleteFunc(slices.Clone(pairs), func(p pair) bool { return p.label == p.answer })
	slices.SortStableFunc(wrong, func(a, b pair) int { return cmp.Compare(b.images, a.images) })
	return wrong
}

func (r *Report) addConfusion(d *document.Document) error {
	pairs := pairsOf(r.Answers)
	data := document.NewCSV("label", "answer", "images", "share_of_label")
	for _, p := range pairs {
		data.Row(r.ClassNames[p.label], r.ClassNames[p.answer], strconv.Itoa(p.images),
			document.Number(float64(p.images)/float64(p.ofLabel)))
	}
	table, err := data.Bytes()
	if err != nil {
		return err
	}
	wrong := mostConfused(pairs)
	matrix := newMatrix(pairs, wrong, r.ClassNames)
	svg, err := matrix.svg()
	if err != nil {
		return err
	}
	d.Heading("Confusion")
	caption := "Share of the images of a label (row) that get an answer (column), in per cent."
	if matrix.grouped {
		caption += fmt.Sprintf(" The %d classes that are most often confused; the others share the last "+
			"row and column.", len(matrix.names)-1)
	}
	d.Add(document.Figure{Name: confusion, Caption: caption, SVG: svg, Data: table})
	if len(wrong) == 0 {
		return nil
	}
	var items []string
	for _, p := range wrong[:min(mostPairs, len(wrong))] {
		items = append(items, fmt.Sprintf("%s is taken for %s: %s of %s (%.1f %%)",
			display.Printable(r.ClassNames[p.label]), display.Printable(r.ClassNames[p.answer]),
			display.Thousands(p.images), display.Count(p.ofLabel, "image"),
			100*float64(p.images)/float64(p.ofLabel)))
	}
	d.Say("The most frequent errors:")
	d.List(items)
	return nil
}

// matrix is what is drawn: of a row, the share of each column, 0…1, NaN where the row has no
// images.
type matrix struct {
	names   []string
	shares  [][]float64
	grouped bool // the last row and column are those of all other classes
}

func newMatrix(pairs, wrong []pair, names []string) matrix {
	m := matrix{}
	place := make([]int, len(names)) // of each class
	if m.grouped = len(names) > mostDrawn; m.grouped {
		chosen := make(map[int]bool)
		for _, p := range wrong {
			for _, class := range []int{p.label, p.answer} {
				if len(chosen) < mostGrouped {
					chosen[class] = true
				}
			}
		}
		for class := range names {
			place[class] = len(chosen)
			if chosen[class] {
				place[class] = len(m.names)
				m.names = append(m.names, names[class])
			}
		}
		m.names = append(m.names, fmt.Sprintf("%d others", len(names)-len(chosen)))
	} else {
		m.names = slices.Clone(names)
		for class := range place {
			place[class] = class
		}
	}
	for i, name := range m.names {
		m.names[i] = shortened(display.Printable(name), longestName)
	}
	supports := make([]int, len(m.names))
	m.shares = make([][]float64, len(m.names))
	for i := range m.shares {
		m.shares[i] = make([]float64, len(m.names))
	}
	seen := make(map[int]bool)
	for _, p := range pairs {
		m.shares[place[p.label]][place[p.answer]] += float64(p.images)
		if !seen[p.label] {
			seen[p.label] = true
			supports[place[p.label]] += p.ofLabel
		}
	}
	for i, row := range m.shares {
		for j := range row {
			row[j] /= float64(supports[i])
		}
	}
	return m
}

// shortened cuts a text to so many characters, the last of which says that it was cut.
func shortened(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// Dims, X, Y and Z are those of a plotter.GridXYZ with the first label at the top.
func (m matrix) Dims() (columns, rows int) { return len(m.names), len(m.names) }
func (m matrix) X(column int) float64      { return float64(column) }
func (m matrix) Y(row int) float64         { return float64(row) }
func (m matrix) Z(column, row int) float64 { return m.shares[len(m.names)-1-row][column] }

// shades goes from white to the palette's blue.
type shades struct{}

func (shades) Colors() []color.Color {
	all := make([]color.Color, 128)
	for i := range all {
		// The square root tells small shares apart, which are the errors.
		t := math.Sqrt(float64(i) / float64(len(all)-1))
		all[i] = color.RGBA{uint8(255 - 255*t), uint8(255 - 141*t), uint8(255 - 77*t), 255}
	}
	return all
}

func (m matrix) svg() (svg []byte, err error) {
	defer func() {
		// The plot's packages panic where they cannot draw.
		if reason := recover(); reason != nil {
			svg, err = nil, fmt.Errorf("draw the confusion: %v", reason)
		}
	}()
	p := chart.New("", "answer", "label")
	// A heat map of one cell has no width of its cells.
	if len(m.names) > 1 {
		heat := plotter.NewHeatMap(m, shades{})
		heat.Min, heat.Max, heat.NaN = 0, 1, color.Gray{240}
		p.Add(heat)
	}
	columns, rows := make([]plot.Tick, len(m.names)), make([]plot.Tick, len(m.names))
	for i, name := range m.names {
		columns[i] = plot.Tick{Value: float64(i), Label: name}
		rows[i] = plot.Tick{Value: float64(len(m.names) - 1 - i), Label: name}
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.ConstantTicks(columns), plot.ConstantTicks(rows)
	edge, cell := float64(len(m.names))-0.5, 10*vg.Points(1)
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = -0.5, edge, -0.5, edge
	if len(m.names) <= mostNumbered {
		cell = 24 * vg.Points(1)
		if err := m.number(p); err != nil {
			return nil, err
		}
	} else {
		p.X.Tick.Label.Font.Size, p.Y.Tick.Label.Font.Size = 7, 7
	}
	longest := 0
	for _, name := range m.names {
		longest = max(longest, len([]rune(name)))
	}
	if longest > upright {
		p.X.Tick.Label.Rotation = math.Pi / 2
		p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = text.XRight, text.YCenter
	}
	size := cell*vg.Length(len(m.names)) + vg.Points(6)*vg.Length(longest) + vg.Points(60)
	return chart.SVG([][]*plot.Plot{{p}}, nil, size, size)
}

// number writes each share that is not 0 into its cell.
func (m matrix) number(p *plot.Plot) error {
	var labels plotter.XYLabels
	var dark []bool
	for i, row := range m.shares {
		for j, share := range row {
			if math.IsNaN(share) || share == 0 {
				continue
			}
			text := strconv.FormatFloat(100*share, 'f', 0, 64)
			if share < 0.0995 {
				text = strconv.FormatFloat(100*share, 'f', 1, 64)
			}
			labels.XYs = append(labels.XYs, plotter.XY{X: float64(j), Y: float64(len(m.names) - 1 - i)})
			labels.Labels = append(labels.Labels, text)
			dark = append(dark, share > 0.4)
		}
	}
	if len(labels.XYs) == 0 {
		return nil
	}
	texts, err := plotter.NewLabels(labels)
	if err != nil {
		return err
	}
	for i := range texts.TextStyle {
		style := &texts.TextStyle[i]
		style.Font.Variant, style.Font.Size = chart.Sans, 8
		style.XAlign, style.YAlign = draw.XCenter, draw.YCenter
		if dark[i] {
			style.Color = color.White
		}
	}
	p.Add(texts)
	return nil
}
