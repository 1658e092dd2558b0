package report

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"

	"slipway/internal/palette"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

const (
	pageWidth = 24 * vg.Centimeter
	margin    = 3 * vg.Millimeter
	sans      = "Sans"
)

// dashes tells apart what has the same colour.
func dashes(i int) []vg.Length {
	return [][]vg.Length{nil, {vg.Points(5), vg.Points(2)}, {vg.Points(1.5), vg.Points(1.5)}, {vg.Points(7), vg.Points(2), vg.Points(1.5), vg.Points(2)}}[i/palette.Colours%4]
}

func translucent(c color.RGBA, alpha float64) color.Color {
	return color.NRGBA{c.R, c.G, c.B, uint8(255 * alpha)}
}

func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = color.White
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.Padding = vg.Points(4)
	for _, style := range []*font.Font{
		&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font,
		&p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font,
	} {
		style.Variant = sans
	}
	p.Title.TextStyle.Font.Size, p.X.Label.TextStyle.Font.Size, p.Y.Label.TextStyle.Font.Size = 11, 10, 10
	p.X.Tick.Label.Font.Size, p.Y.Tick.Label.Font.Size, p.Legend.TextStyle.Font.Size = 9, 9, 9
	p.X.Tick.Marker, p.Y.Tick.Marker = roundTicks{}, roundTicks{}
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{225}, color.Gray{225}
	p.Add(grid)
	return p
}

// series is a line, with a band around it if low and high are given.
type series struct {
	name       string
	x, y       []float64
	low, high  []float64
	style      int // of colour and dashes
	marks      bool
	stepShaped bool
}

// addLine draws the series and returns what stands for it in a legend.
func addLine(p *plot.Plot, s series) (plot.Thumbnailer, error) {
	points := make(plotter.XYs, len(s.x))
	for i := range s.x {
		points[i] = plotter.XY{X: s.x[i], Y: s.y[i]}
	}
	if s.low != nil {
		band := make(plotter.XYs, 0, 2*len(s.x))
		for i := range s.x {
			band = append(band, plotter.XY{X: s.x[i], Y: s.high[i]})
		}
		for i := len(s.x) - 1; i >= 0; i-- {
			band = append(band, plotter.XY{X: s.x[i], Y: s.low[i]})
		}
		polygon, err := plotter.NewPolygon(band)
		if err != nil {
			return nil, fmt.Errorf("band of %s: %w", s.name, err)
		}
		polygon.Color, polygon.LineStyle.Width = translucent(palette.Colour(s.style), 0.15), 0
		p.Add(polygon)
	}
	line, err := plotter.NewLine(points)
	if err != nil {
		return nil, fmt.Errorf("line of %s: %w", s.name, err)
	}
	line.Color, line.Width, line.Dashes = palette.Colour(s.style), vg.Points(1.3), dashes(s.style)
	if s.stepShaped {
		line.StepStyle = plotter.MidStep
	}
	p.Add(line)
	if s.marks {
		scatter, err := plotter.NewScatter(points)
		if err != nil {
			return nil, fmt.Errorf("points of %s: %w", s.name, err)
		}
		scatter.GlyphStyle = draw.GlyphStyle{Color: palette.Colour(s.style), Radius: vg.Points(1.8), Shape: draw.CircleGlyph{}}
		p.Add(scatter)
	}
	return line, nil
}

// addSeries draws all of them, and returns their legend.
func addSeries(p *plot.Plot, all []series) (plot.Legend, error) {
	legend := newLegend()
	for _, s := range all {
		if len(s.x) == 0 {
			continue
		}
		thumbnail, err := addLine(p, s)
		if err != nil {
			return legend, err
		}
		legend.Add(s.name, thumbnail)
	}
	return legend, nil
}

func newLegend() plot.Legend {
	legend := plot.NewLegend()
	legend.TextStyle.Font.Variant, legend.TextStyle.Font.Size = sans, 9
	legend.Left, legend.Top, legend.Padding = true, true, vg.Points(2)
	return legend
}

// drawSVG draws the plots in rows and columns with the legend to their right; a plot
// that is nil leaves its place empty.
func drawSVG(plots [][]*plot.Plot, legend *plot.Legend, width, height vg.Length) ([]byte, error) {
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
	tiles := draw.Tiles{Rows: len(plots), Cols: len(plots[0]), PadX: 5 * vg.Millimeter, PadY: 4 * vg.Millimeter}
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

// inRows lays plots out; what is left of the last row is empty.
func inRows(plots []*plot.Plot, columns int) [][]*plot.Plot {
	columns = min(columns, len(plots))
	var grid [][]*plot.Plot
	for row := range slices.Chunk(plots, columns) {
		grid = append(grid, append(slices.Clone(row), make([]*plot.Plot, columns-len(row))...))
	}
	return grid
}

// dotRow is a line of a dot plot: a setting with a value from each seed.
type dotRow struct {
	name   string
	values []float64
	// mean and interval are drawn if the interval is there, and wide too if it
	// is.
	mean           float64
	interval, wide *[2]float64
}

// dotPlot shows each row's values as dots, the mean and its interval over them.
func dotPlot(rows []dotRow, x string, zero bool) ([]byte, error) {
	p := newPlot("", x, "")
	ticks := make([]plot.Tick, len(rows))
	for i, row := range rows {
		y := float64(len(rows) - 1 - i)
		ticks[i] = plot.Tick{Value: y, Label: row.name}
		if err := addDots(p, row, y); err != nil {
			return nil, err
		}
	}
	p.Y.Tick.Marker = plot.ConstantTicks(ticks)
	p.Y.Tick.LineStyle.Width, p.Y.LineStyle.Width = 0, 0
	p.Y.Min, p.Y.Max = -0.6, float64(len(rows))-0.4
	if zero {
		p.X.Min, p.X.Max = min(p.X.Min, 0), max(p.X.Max, 0)
		line, err := plotter.NewLine(plotter.XYs{{X: 0, Y: p.Y.Min}, {X: 0, Y: p.Y.Max}})
		if err != nil {
			return nil, err
		}
		line.Color, line.Dashes = color.Gray{100}, []vg.Length{vg.Points(3), vg.Points(3)}
		p.Add(line)
	}
	room(p)
	return drawSVG([][]*plot.Plot{{p}}, nil, pageWidth, vg.Length(len(rows))*0.75*vg.Centimeter+2.2*vg.Centimeter)
}

// room widens the range a little, and a range of one value enough to have ticks.
func room(p *plot.Plot) {
	width := p.X.Max - p.X.Min
	if !(width > 0) {
		width = max(math.Abs(p.X.Max), 1) * 0.01
	}
	p.X.Min, p.X.Max = p.X.Min-0.03*width, p.X.Max+0.03*width
}

func addDots(p *plot.Plot, row dotRow, y float64) error {
	if len(row.values) > 0 {
		points := make(plotter.XYs, len(row.values))
		for i, v := range row.values {
			points[i] = plotter.XY{X: v, Y: y - 0.18}
		}
		dots, err := plotter.NewScatter(points)
		if err != nil {
			return fmt.Errorf("dots of %s: %w", row.name, err)
		}
		dots.GlyphStyle = draw.GlyphStyle{Color: translucent(palette.Colour(0), 0.45), Radius: vg.Points(2.2), Shape: draw.CircleGlyph{}}
		p.Add(dots)
	}
	bar := func(interval *[2]float64, width vg.Length, c color.Color) error {
		if interval == nil {
			return nil
		}
		line, err := plotter.NewLine(plotter.XYs{{X: interval[0], Y: y + 0.12}, {X: interval[1], Y: y + 0.12}})
		if err != nil {
			return fmt.Errorf("interval of %s: %w", row.name, err)
		}
		line.Width, line.Color = width, c
		p.Add(line)
		return nil
	}
	if err := bar(row.wide, vg.Points(1), color.Gray{90}); err != nil {
		return err
	}
	if err := bar(row.interval, vg.Points(3), palette.Colour(1)); err != nil {
		return err
	}
	mean, err := plotter.NewScatter(plotter.XYs{{X: row.mean, Y: y + 0.12}})
	if err != nil {
		return fmt.Errorf("mean of %s: %w", row.name, err)
	}
	mean.GlyphStyle = draw.GlyphStyle{Color: palette.Colour(1), Radius: vg.Points(3.4), Shape: draw.CircleGlyph{}}
	p.Add(mean)
	return nil
}

// roundTicks marks some six multiples of 1, 2 or 5 times a power of ten, all with the
// same number of decimals.
type roundTicks struct{}

func (roundTicks) Ticks(low, high float64) []plot.Tick {
	if !(high > low) {
		return []plot.Tick{{Value: low, Label: number(low)}}
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
		ticks = append(ticks, plot.Tick{Value: i * step, Label: minus(strconv.FormatFloat(i*step+0, 'f', max(0, int(-power)), 64))})
	}
	return ticks
}

// wholeTicks marks whole numbers only, a dozen at most.
type wholeTicks struct{}

func (wholeTicks) Ticks(low, high float64) []plot.Tick {
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
