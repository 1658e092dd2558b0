package train

import (
	"math"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/datasettest"
)

const imageNetText = "mean=0.485,0.456,0.406,std=0.229,0.224,0.225"

// A model's record has the factors and the summands of Config.Pixels, and leads back to
// it, or to another text of the same constants.
func TestPixelsAndTheirRecord(t *testing.T) {
	for pixels, back := range map[string]string{
		PixelsRaw: "", PixelsUnit: "", "0.1307,0.3081": "", "0.5,0.5": "", "0,0.25": "",
		PixelsImageNet: "",
		"mean=0.4914,0.4822,0.4465,std=0.247,0.2435,0.2616": "",
		PixelsHalf:                            "0.5,0.5",
		imageNetText:                          PixelsImageNet,
		"mean=0.1307,std=0.3081":              "0.1307,0.3081",
		"mean=0.5,std=0.1,0.2":                "mean=0.5,0.5,std=0.1,0.2",
		"mean=0.1,0.2,0.3,0.4,std=0.25":       "mean=0.1,0.2,0.3,0.4,std=0.25,0.25,0.25,0.25",
		"mean=0.50,0.5e0,5e-1,std=0.25,.25,1": "mean=0.5,0.5,0.5,std=0.25,0.25,1",
	} {
		if back == "" {
			back = pixels
		}
		scales, offsets, err := Config{Pixels: pixels}.PixelTransform()
		if err != nil {
			t.Fatal(err)
		}
		if got := PixelsFor(scales, offsets); got != back {
			t.Errorf("%s is recorded as x·%v + %v, which is read as %s", pixels, scales, offsets, got)
		}
		// The text that a record leads to feeds the same bits.
		if a, b := tables(t, pixels), tables(t, back); !slices.Equal(a, b) {
			t.Errorf("%s and %s feed other values", pixels, back)
		}
	}
	for _, offset := range []float64{0, -127.5} {
		zero, one := PixelsFor([]float64{0}, []float64{offset}), PixelsFor([]float64{1},
			[]float64{offset})
		if zero != one || strings.Contains(zero, "Inf") {
			t.Errorf("a factor of 0 and %v are read as %s, a factor of 1 as %s", offset, zero, one)
		}
	}
	scales, offsets, err := (Config{}).PixelTransform()
	if !slices.Equal(scales, []float64{1}) || !slices.Equal(offsets, []float64{0}) || err != nil {
		t.Errorf("no pixels: x·%v + %v, %v; want x", scales, offsets, err)
	}
}

// tables are what four channels of bytes are fed as, or as many as there are.
func tables(t *testing.T, text string) (values [][256]float32) {
	t.Helper()
	pixels, _, _, err := parsePixels(text)
	if err != nil {
		t.Fatal(err)
	}
	for channels := 4; channels > 0; channels-- {
		if pixels.CheckChannels(channels) != nil {
			continue
		}
		for channel := range channels {
			values = append(values, pixels.ChannelTable(channel))
		}
		return values
	}
	t.Fatalf("%s is of no number of channels", text)
	return nil
}

// Each way feeds what its formula says, in float32.
func TestPixelsAreFedByTheirFormula(t *testing.T) {
	standard := func(mean, std float32) func(x float32) float32 {
		return func(x float32) float32 { return (x/255 - mean) / std }
	}
	imagenet := []func(float32) float32{standard(0.485, 0.229), standard(0.456, 0.224),
		standard(0.406, 0.225)}
	half := []func(float32) float32{standard(0.5, 0.5), standard(0.5, 0.5), standard(0.5, 0.5)}
	for text, formulas := range map[string][]func(float32) float32{
		PixelsImageNet: imagenet, imageNetText: imagenet, PixelsHalf: half,
		"mean=0.5,0.5,0.5,std=0.5": half,
	} {
		for channel, formula := range formulas {
			table := tables(t, text)[channel]
			for x := range table {
				if want := formula(float32(x)); math.Float32bits(table[x]) != math.Float32bits(want) {
					t.Fatalf("%s: %d of channel %d is fed as %v, want %v", text, x, channel, table[x], want)
				}
			}
		}
	}
}

func TestPixelsThatAreNone(t *testing.T) {
	for text, want := range map[string]string{
		"0-2": "there are 0-255, 0-1, 0.5, imagenet, measured, MEAN,STD", "1": "mean=…,std=…",
		"a,b":   "MEAN,STD",
		"0.1,0": "the deviation must be over 0", "0.1,-1": "the deviation must be over 0",
		"NaN,1":       "both finite",
		"0.1,0.2,0.3": "MEAN,STD", "0.485,0.456,0.406,0.229,0.224,0.225": "mean=0.485,0.456,0.406,std=",
		"mean=0.5": "mean=…,std=…", "mean=,std=": "mean=…,std=…", "mean=0.5,std=": "mean=…,std=…",
		"std=0.5,mean=0.5":             "mean=…,std=…",
		"mean=0.1,0.2,0.3,std=0.1,0.2": "3 means and 2 deviations",
		"mean=0.1,0.2,std=0.1,0":       "channel 1: ", "mean=0.1,inf,std=1": "both finite",
		"mean=0.1,std=0.2,std=0.3": "mean=…,std=…", "ImageNet": "imagenet", "0.6": "0.5", "": "",
		PixelsMeasured: "give the constants",
	} {
		_, _, err := Config{Pixels: text}.PixelTransform()
		if text == "" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// Constants for another number of channels than a network's images have are refused with
// what to take instead, before anything is read.
func TestPixelsOfOtherChannels(t *testing.T) {
	for _, text := range []string{PixelsImageNet, "mean=0.1,0.2,std=1"} {
		config := smallConfig(builder.DefaultEngine)
		config.Pixels = text
		_, err := config.WithDefaults(smallNetwork(t))
		if err == nil || !strings.Contains(err.Error(), "the images have 1; feed them as measured") {
			t.Errorf("%s: %v", text, err)
		}
	}
	// What a network of features is fed with is known once there is a set.
	features, err := builder.New("features", builder.Shape{36}, builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	config := smallConfig(builder.DefaultEngine)
	config.Pixels = PixelsImageNet
	if _, err := New(features, datasettest.Bars(t, 8), config, nil); err == nil ||
		!strings.Contains(err.Error(), "feed them as measured") {
		t.Errorf("features: %v", err)
	}
}

// A device feeds each channel by its own formula, too.
func TestADeviceTakesPixelsPerChannel(t *testing.T) {
	for _, text := range []string{
		PixelsRaw, PixelsUnit, "0.1307,0.3081", "mean=0.5,std=0.5", PixelsImageNet, PixelsMeasured,
		imageNetText,
	} {
		if what := (Config{Pixels: text}).CPUOnly(); what != "" {
			t.Errorf("%s: %s computed on the CPU alone", text, what)
		}
	}
	config := smallConfig(builder.EngineNative)
	config.Pixels, config.Device = PixelsMeasured, noDevice{}
	if _, err := config.WithDefaults(smallNetwork(t)); err != nil {
		t.Error(err)
	}
}

// The name of a way is given only to what it does to each channel.
func TestPixelsForOthersThanTheNamed(t *testing.T) {
	for _, test := range []struct{ scales, offsets []float64 }{
		{[]float64{1}, []float64{-0.5}}, {[]float64{1, 1}, []float64{0, -3}}, {[]float64{2},
			[]float64{0}},
		{[]float64{1.0 / 255}, []float64{-0.5}}, {[]float64{1.0 / 255, 1.0 / 255}, []float64{0,
			-3}},
	} {
		text := PixelsFor(test.scales, test.offsets)
		scales, offsets, err := Config{Pixels: text}.PixelTransform()
		if err != nil || len(scales) != len(test.scales) {
			t.Errorf("%v, %v become %q: %v, %v (%v)", test.scales, test.offsets, text, scales,
				offsets, err)
			continue
		}
		for i := range scales {
			if math.Abs(scales[i]-test.scales[i]) > 1e-6*test.scales[i] ||
				math.Abs(offsets[i]-test.offsets[i]) > 1e-6 {
				t.Errorf("%v, %v become %q: %v, %v", test.scales, test.offsets, text, scales,
					offsets)
			}
		}
	}
}
