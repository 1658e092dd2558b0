// Package chart is how Slipway's figures look: axes, ticks and colours, lines with bands around
// them, several plots on a page with one legend.
package chart

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"slipway/internal/palette"
)

const (
	// PageWidth is the width of a figure that fills a report.
	PageWidth = 24 * vg.Centimeter
	margin    = 3 * vg.Millimeter
	// Sans is the variant of all fonts.
	Sans = "Sans"
)

// dashes tells apart what has the same colour.
func dashes(i int) []vg.Length {
	return [][]vg.Length{nil, {vg.Points(5), vg.Points(2)}, {vg.Points(1.5), vg.Points(1.5)},
		{vg.Points(7), vg.Points(2), vg.Points(1.5), vg.Points(2)}}[i/palette.Colours%4]
}

// Translucent is the colour with that much of it, 0…1.
func Translucent(c color.RGBA, alpha float64) color.Color {
	return color.NRGBA{c.R, c.G, c.B, uint8(255 * alpha)}
}

// New is a plot with a title and the names of its axes.
func New(title, x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = color.White
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.Padding = vg.Points(4)
	for _, style := range []*font.Font{
		&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font,
		&p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font,
	} {
		style.Variant = Sans
	}
	p.Title.TextStyle.Font.Size, p.X.Label.TextStyle.Font.Size, p.Y.Label.TextStyle.Font.Size = 11, 10,
		10
	p.X.Tick.Label.Font.Size, p.Y.Tick.Label.Font.Size, p.Legend.TextStyle.Font.Size = 9, 9, 9
	p.X.Tick.Marker, p.Y.Tick.Marker = roundTicks{}, roundTicks{}
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{225}, color.Gray{225}
	p.Add(grid)
	return p
}

// Series is a line, with a band around it if Low and High are given.
type Series struct {
	Name       string
	X, Y       []float64
	Low, High  []float64
	Style      int // of colour and dashes
	Marks      bool
	StepShaped bool
}

// addLine draws the series and returns what stands for it in a legend.
func addLine(p *plot.Plot, s Series) (plot.Thumbnailer, error) {
	points := make(plotter.XYs, len(s.X))
	for i := range s.X {
		points[i] = plotter.XY{X: s.X[i], Y: s.Y[i]}
	}
	if s.Low != nil {
		band := make(plotter.XYs, 0, 2*len(s.X))
		for i := range s.X {
			band = append(band, plotter.XY{X: s.X[i], Y: s.High[i]})
		}
		for i := len(s.X) - 1; i >= 0; i-- {
			band = append(band, plotter.XY{X: s.X[i], Y: s.Low[i]})
		}
		polygon, err := plotter.NewPolygon(band)
		if err != nil {
			return nil, fmt.Errorf("band of %s: %w", s.Name, err)
		}
		polygon.Color, polygon.LineStyle.Width = Translucent(palette.Colour(s.Style), 0.15), 0
		p.Add(polygon)
	}
	line, err := plotter.NewLine(points)
	if err != nil {
		return nil, fmt.Errorf("line of %s: %w", s.Name, err)
	}
	line.Color, line.Width, line.Dashes = palette.Colour(s.Style), vg.Points(1.3), dashes(s.Style)
	if s.StepShaped {
		line.StepStyle = plotter.MidStep
	}
	p.Add(line)
	if s.Marks {
		scatter, err := plotter.NewScatter(points)
		if err != nil {
			return nil, fmt.Errorf("points of %s: %w", s.Name, err)
		}
		scatter.GlyphStyle = draw.GlyphStyle{Color: palette.Colour(s.Style), Radius: vg.Points(1.8),
			Shape: draw.CircleGlyph{}}
		p.Add(scatter)
	}
	return line, nil
}

// AddSeries draws all of them, and returns their legend.
func AddSeries(p *plot.Plot, all []Series) (plot.Legend, error) {
	legend := newLegend()
	for _, s := range all {
		if len(s.X) == 0 {
			continue
		}
		thumbnail, err := addLine(p, s)
		if err != nil {
			return legend, err
		}
		legend.Add(s.Name, thumbnail)
	}
	return legend, nil
}

func newLegend() plot.Legend {
	legend := plot.NewLegend()
	legend.TextStyle.Font.Variant, legend.TextStyle.Font.Size = Sans, 9
	legend.Left, legend.Top, legend.Padding = true, true, vg.Points(2)
	return legend
}

// SVG draws the plots in rows and columns with the legend to their right; a plot
// that is nil leaves its place empty.
func SVG(plots [][]*plot.Plot, legend *plot.Legend, width, height vg.Length) ([]byte, error) {
	canvas := vgsvg.New(width, height)
	page := draw.New(canvas)
	page.SetColor(color.White)
	page.Fill(page.Rectangle.Path())
	page = draw.Crop(page, margin, -margin, margin, -margin)
	if legend != nil {
		beside := legend.Rectangle(page).Size().X + 2*margin
		part := page
		part.Min.X = part.Max.X - beside + margin
		part.Max.Y -= vg.Points(18)
		legend.Draw(part)
		page.Max.X -= beside
	}
	tiles := draw.Tiles{Rows: len(plots), Cols: len(plots[0]), PadX: 5 * vg.Millimeter,
		PadY: 4 * vg.Millimeter}
	for row, canvases := range plot.Align(plots, tiles, page) {
		for column, part := range canvases {
			if plots[row][column] != nil {
				plots[row][column].Draw(part)
			}
		}
	}
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return nil, fmt.Errorf("draw: %w", err)
	}
	return svg.Bytes(), nil
}

// InRows lays plots out; what is left of the last row is empty.
func InRows(plots []*plot.Plot, columns int) [][]*plot.Plot {
	columns = min(columns, len(plots))
	var grid [][]*plot.Plot
	for row := range slices.Chunk(plots, columns) {
		grid = append(grid, append(slices.Clone(row), make([]*plot.Plot, columns-len(row))...))
	}
	return grid
}

// roundTicks marks some six multiples of 1, 2 or 5 times a power of ten, all with the
// same number of decimals.
type roundTicks struct{}

func (roundTicks) Ticks(low, high float64) []plot.Tick {
	if !(high > low) {
		return []plot.Tick{{Value: low, Label: strconv.FormatFloat(low, 'g', 7, 64)}}
	}
	power := math.Floor(math.Log10((high - low) / 6))
	step := math.Pow(10, power)
	for _, factor := range []float64{1, 2, 5, 10} {
		if step = factor * math.Pow(10, power); (high-low)/step <= 7 {
			if factor == 10 {
				power++
			}
			break
		}
	}
	var ticks []plot.Tick
	for i := math.Ceil(low/step - 1e-9); i*step <= high+1e-9*step; i++ {
		ticks = append(ticks,
			plot.Tick{Value: i * step,
				Label: minus(strconv.FormatFloat(i*step+0, 'f', max(0, int(-power)), 64))})
	}
	return ticks
}

// WholeTicks marks whole numbers only, a dozen at most.
type WholeTicks struct{}

func (WholeTicks) Ticks(low, high float64) []plot.Tick {
	step := 1.0
	for _, s := range []float64{1, 2, 5, 10, 20, 50, 100, 200, 500} {
		if step = s; (high-low)/s <= 12 {
			break
		}
	}
	var ticks []plot.Tick
	for v := math.Ceil(low/step) * step; v <= high; v += step {
		ticks = append(ticks, plot.Tick{Value: v, Label: strconv.Itoa(int(v))})
	}
	return ticks
}

// AddGuide draws a dashed line from (x0, y0) to (x1, y1).
func AddGuide(p *plot.Plot, x0, y0, x1, y1 float64) error {
	line, err := plotter.NewLine(plotter.XYs{{X: x0, Y: y0}, {X: x1, Y: y1}})
	if err != nil {
		return err
	}
	line.Color, line.Dashes = color.Gray{100}, []vg.Length{vg.Points(3), vg.Points(3)}
	p.Add(line)
	return nil
}

// minus writes the sign as typography has it.
func minus(text string) string { return strings.Replace(text, "-", "−", 1) }
