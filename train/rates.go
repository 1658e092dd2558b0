package train

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"slipway/builder"
)

// Rate is the learning rate of a group of parameters (a param group of PyTorch's optimizers). As
// text, and in JSON, it is PATTERN=RATE, such as head=0.001.
type Rate struct {
	// Pattern is one as of Config.Freeze.
	Pattern string
	// LearningRate is above 0.
	LearningRate float64
}

// String returns PATTERN=RATE.
func (r Rate) String() string {
	return r.Pattern + "=" + strconv.FormatFloat(r.LearningRate, 'g', -1, 64)
}

// MarshalText writes PATTERN=RATE.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads PATTERN=RATE.
func (r *Rate) UnmarshalText(text []byte) error {
	at := strings.LastIndexByte(string(text), '=')
	if at < 0 {
		return fmt.Errorf("%q is not PATTERN=RATE, such as head=0.001", text)
	}
	rate, err := strconv.ParseFloat(strings.TrimSpace(string(text[at+1:])), 64)
	if err != nil {
		return fmt.Errorf("%q: the rate is not a number", text)
	}
	read := Rate{strings.TrimSpace(string(text[:at])), rate}
	if err := read.check(); err != nil {
		return err
	}
	*r = read
	return nil
}

func (r Rate) check() error {
	if r.Pattern == "" {
		return fmt.Errorf("learning rate %v is of an empty pattern", r.LearningRate)
	}
	if !(r.LearningRate > 0) || !finite(r.LearningRate) {
		return fmt.Errorf("learning rate of %s: %v; a number above 0 is needed, and what is "+
			"not to be trained is frozen", r.Pattern, r.LearningRate)
	}
	return nil
}

// ParseRates reads a learning rate, as 1e-3, or a list of rates by group, as head=1e-3,*=1e-4. A
// rate without a pattern, or of *, ends the list: it is that of all other parameters, 0 if there
// is none.
func ParseRates(text string) (rates []Rate, others float64, err error) {
	for item := range strings.SplitSeq(text, ",") {
		if others != 0 {
			return nil, 0, fmt.Errorf("%q: %s follows the rate of all other parameters, which "+
				"comes last", text, strings.TrimSpace(item))
		}
		item = strings.TrimSpace(item)
		if !strings.Contains(item, "=") {
			if others, err = strconv.ParseFloat(item, 64); err != nil {
				return nil, 0, fmt.Errorf("%q is neither a learning rate nor PATTERN=RATE, such "+
					"as head=1e-3", item)
			}
			if others == 0 {
				return nil, 0, errors.New("0; more than 0 is needed, and without the flag it has " +
					"its default")
			}
			continue
		}
		var rate Rate
		if err := rate.UnmarshalText([]byte(item)); err != nil {
			return nil, 0, err
		}
		if rate.Pattern == "*" {
			others = rate.LearningRate
			continue
		}
		rates = append(rates, rate)
	}
	return rates, others, nil
}

// rateOf returns the place, among Rates, of that which the parameter has, −1 if it has the
// optimizer's.
func (c Config) rateOf(network *builder.Network) func(parameter string) int {
	var selects []func(string) bool
	for _, rate := range c.FineTune.Rates {
		selected, err := c.selector(network, rate.Pattern)
		if err != nil {
			selected = func(string) bool { return false } // checkRates has said it
		}
		selects = append(selects, selected)
	}
	return func(parameter string) int {
		return slices.IndexFunc(selects,
			func(selected func(string) bool) bool { return selected(parameter) })
	}
}

// checkRates reports a rate that no parameter has.
func (c Config) checkRates(network *builder.Network) error {
	if len(c.FineTune.Rates) == 0 {
		return nil
	}
	rateOf := c.rateOf(network)
	has := make([]bool, len(c.FineTune.Rates))
	learns := make([]bool, len(has))
	trained := c.trained(network)
	for i, parameter := range network.Parameters() {
		if at := rateOf(parameter.Name); at >= 0 {
			has[at] = true
			learns[at] = learns[at] || slices.Contains(trained, i)
		}
	}
	for i, rate := range c.FineTune.Rates {
		if _, err := c.selector(network, rate.Pattern); err != nil {
			return fmt.Errorf("learning rate %s: %w", rate, err)
		}
		switch {
		case !has[i]:
			return fmt.Errorf("learning rate %s: network %s has no parameter for it, or earlier "+
				"patterns match all of them; it has %s", rate, network.Name(), parameterNames(network))
		case !learns[i] && c.FineTune.FreezeUntil == 0:
			return fmt.Errorf("learning rate %s: all parameters that it is of are frozen", rate)
		}
	}
	return nil
}
