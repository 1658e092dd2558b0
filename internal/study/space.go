package study

import (
	"fmt"
	"math"
	"math/rand/v2"

	"go.yaml.in/yaml/v3"

	"slipway/internal/random"
)

// Kinds of a parameter of a space.
const (
	kindUniform = "uniform" // of the numbers in [low, high]
	kindLog     = "log"     // of their logarithms
	kindInt     = "int"     // of the whole numbers low…high
	kindChoice  = "choice"  // of a list of values
)

// parameter is a setting that is drawn.
type parameter struct {
	key       string
	kind      string
	low, high float64
	choices   []any
	line      int
}

// furthest bounds a space: no setting is as large, and whole numbers are drawn as int.
const furthest = 1e9

func readSpace(node *yaml.Node) ([]parameter, error) {
	entries, err := pairs(node, "space")
	if err != nil {
		return nil, err
	}
	var space []parameter
	for _, entry := range entries {
		p := parameter{key: entry.key, line: entry.node.Line}
		bounds := func(kind string) func(*yaml.Node) error {
			return func(node *yaml.Node) error {
				p.kind = kind
				var ends []float64
				if err := node.Decode(&ends); err != nil || len(ends) != 2 || !(ends[0] < ends[1]) {
					return at(node, "%s: give [LOW, HIGH], two numbers, the lower first", entry.key)
				}
				p.low, p.high = ends[0], ends[1]
				switch {
				case p.low < -furthest || p.high > furthest:
					return at(node, "%s: the ends are beyond ±%g", entry.key, furthest)
				case kind == kindLog && p.low <= 0:
					return at(node, "%s: the logarithm needs numbers above 0", entry.key)
				case kind == kindInt && (p.low != math.Trunc(p.low) || p.high != math.Trunc(p.high)):
					return at(node, "%s: the ends of int are whole numbers", entry.key)
				}
				return nil
			}
		}
		err := readFields(entry.value, "parameter "+entry.key, fields{
			kindUniform: bounds(kindUniform), kindLog: bounds(kindLog), kindInt: bounds(kindInt),
			kindChoice: func(node *yaml.Node) error {
				p.kind = kindChoice
				nodes, err := list(node, entry.key+": choice")
				if err != nil {
					return err
				}
				for _, node := range nodes {
					v, err := plain(node)
					if err != nil {
						return err
					}
					p.choices = append(p.choices, v)
				}
				return nil
			},
		})
		if err != nil {
			return nil, err
		}
		if p.kind == "" {
			return nil, at(entry.value, "parameter %s needs one of uniform, log, int and choice", entry.key)
		}
		space = append(space, p)
	}
	return space, nil
}

// draw is a number of settings drawn at random from a space.
type draw struct {
	count int
	seed  uint64
	space []parameter
}

func readDraw(node *yaml.Node) (*draw, error) {
	d := new(draw)
	err := readFields(node, "random", fields{
		"settings": counted(&d.count),
		"seed":     into(&d.seed),
		"space": func(node *yaml.Node) (err error) {
			d.space, err = readSpace(node)
			return err
		},
	})
	if err == nil && (d.count == 0 || len(d.space) == 0) {
		err = at(node, "random needs settings, how many to draw, and a space to draw them from")
	}
	return d, err
}

// values draws the settings; the same seed draws the same ones.
func (d *draw) values() ([][]value, error) {
	var all [][]value
	for i := range d.count {
		source := random.New(d.seed, fmt.Sprintf("study setting %d", i))
		var values []value
		for _, p := range d.space {
			values = append(values, value{p.key, p.draw(source), p.line})
		}
		all = append(all, values)
	}
	return all, nil
}

// digits is how many significant digits a drawn number has: names stay readable,
// and no run is told apart by more.
const digits = 3

func (p parameter) draw(source *rand.Rand) any {
	switch p.kind {
	case kindChoice:
		return p.choices[source.IntN(len(p.choices))]
	case kindInt:
		return p.low + float64(source.IntN(int(p.high-p.low)+1))
	case kindLog:
		return p.round(math.Exp(math.Log(p.low) + source.Float64()*(math.Log(p.high)-math.Log(p.low))))
	}
	return p.round(p.low + source.Float64()*(p.high-p.low))
}

// round keeps the first digits of a number within the parameter's range.
func (p parameter) round(x float64) float64 {
	if x == 0 {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(math.Abs(x)))-digits+1)
	// Through text, so that 0.123 is the number that reads so.
	var rounded float64
	if _, err := fmt.Sscan(fmt.Sprintf("%.3g", math.Round(x/unit)*unit), &rounded); err != nil {
		return x
	}
	return min(max(rounded, p.low), p.high)
}
