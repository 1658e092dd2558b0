package infer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"slipway/dataset"
	"slipway/infer/port"
	g "slipway/internal/graphmaker"
	"slipway/onnx"
)

// recordOfChannels is a record as export writes it of those means and deviations, read
// from the metadata of a model.
func recordOfChannels(t *testing.T, means, deviations []float64) onnx.TrainingRecord {
	t.Helper()
	var record onnx.TrainingRecord
	var scales, offsets []float64
	for channel := range means {
		scales, offsets = append(scales, 1/(255*deviations[channel])), append(offsets,
			-means[channel]/deviations[channel])
	}
	if err := record.SetPixelTransform(scales, offsets); err != nil {
		t.Fatal(err)
	}
	model := g.New(g.Free, 3, 1, 1).Node("y = Flatten x").Model()
	if err := model.SetTrainingRecord(record); err != nil {
		t.Fatal(err)
	}
	record, _, err := model.TrainingRecord()
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// A record of channels leads to the very values that the trainer fed, whatever four
// decimals their means and deviations have, and tells them as they were.
func TestPixelsOfChannels(t *testing.T) {
	source := rand.New(rand.NewPCG(1, 9))
	decimals := func() float64 { return float64(1+source.IntN(9999)) / 1e4 }
	for i := range 300 {
		means, deviations := []float64{0.485, 0.456, 0.406}, []float64{0.229, 0.224, 0.225}
		if i > 0 {
			means = []float64{decimals(), decimals(), decimals()}
			deviations = []float64{decimals(), decimals(), decimals()}
		}
		want, err := dataset.ChannelPixels(means, deviations)
		if err != nil {
			t.Fatal(err)
		}
		got, err := PixelsOf(recordOfChannels(t, means, deviations))
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != want.String() {
			t.Errorf("%v is told as %v", want, got)
		}
		for channel := range 3 {
			if got.ChannelTable(channel) != want.ChannelTable(channel) {
				t.Errorf("%v: channel %d is fed other values", want, channel)
			}
		}
		if got.CheckChannels(1) == nil {
			t.Error("grey images are taken")
		}
	}
	bad := onnx.TrainingRecord{PixelScales: []float64{1, -1}, PixelOffsets: []float64{0, 0}}
	if _, err := PixelsOf(bad); err == nil || !strings.Contains(err.Error(), "channel 1: ") {
		t.Errorf("a negative scale: %v", err)
	}
	bad.PixelOffsets = nil
	if _, err := PixelsOf(bad); err == nil || !strings.Contains(err.Error(), "2 numbers and adds 0") {
		t.Errorf("no offsets: %v", err)
	}
}

// A graph that takes bytes makes of them, in onnxruntime and natively, the very values
// that dataset feeds: every byte in each channel, in each order of an input.
func TestBytesOfChannelsGiveTheSameBits(t *testing.T) {
	const side, area = 16, 256
	set := &dataset.Set{Name: "all", Channels: 3, Height: side, Width: side, Classes: 1,
		Images: make([]byte, 3*area), Labels: []int32{0}}
	for i := range set.Images {
		set.Images[i] = byte(i * (1 + 2*(i/area))) // odd factors: every byte once in each channel
	}
	record := recordOfChannels(t, []float64{0.485, 0.456, 0.406}, []float64{0.229, 0.224, 0.225})
	pixels, err := PixelsOf(record)
	if err != nil {
		t.Fatal(err)
	}
	first := make([]float32, 3*area)
	if err := set.Fill(first, nil, []int{0}, pixels); err != nil {
		t.Fatal(err)
	}
	last := port.ToChannelsLast(Batch{N: 1, C: 3, H: side, W: side, Pixels: first})
	raw := Batch{N: 1, C: 3, H: side, W: side, Pixels: make([]float32, 3*area)}
	if err := set.Fill(raw.Pixels, nil, []int{0}, dataset.Pixels{}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, takes, operators string
		model                  *onnx.Model
		want                   []float32
	}{
		{"channels first", "uint8[N×16×16×3]", "Cast Div Sub Div Transpose Flatten",
			g.New(g.Free, 3, side, side).Node("y = Flatten x").Model(), first},
		{"channels last", "uint8[N×16×16×3]", "Cast Div Sub Div Flatten", g.New(g.Free, side, side, 3).
			Node("y = Flatten x").Model(), last},
		{"features", "uint8[N×768]", "Cast Div Sub Div Identity", g.New(g.Free, 3*area).
			Node("y = Identity x").Model(), first},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := test.model.SetTrainingRecord(record); err != nil {
				t.Fatal(err)
			}
			model, err := onnx.Reform(test.model, onnx.Form{Bytes: true})
			if err != nil {
				t.Fatal(err)
			}
			var operators []string
			for _, node := range model.Proto.GetGraph().GetNode() {
				operators = append(operators, node.GetOpType())
			}
			if got := strings.Join(operators, " "); got != test.operators ||
				fmt.Sprint(model.Inputs()[0]) != test.takes {
				t.Errorf("%v, %s", model.Inputs()[0], got)
			}
			if left, _, err := model.TrainingRecord(); err != nil || len(left.PixelScales) != 0 ||
				left.PixelScale != 1 || left.PixelOffset != 0 {
				t.Errorf("what is fed now is recorded as %+v (%v)", left, err)
			}
			for _, runtime := range openBoth(t, model) {
				scores, err := runtime.Run(t.Context(), raw)
				if err != nil {
					t.Fatal(err)
				}
				largest := 0.0
				for i, want := range test.want {
					largest = max(largest, math.Abs(float64(scores.Values[i]-want)))
				}
				if info := runtime.Info(); !slices.Equal(scores.Values, test.want) {
					t.Errorf("%s: the largest difference is %g", info.Runtime, largest)
				} else {
					t.Logf("%s %s: the largest difference of %d values is %g", info.Runtime, info.Version,
						len(scores.Values), largest)
				}
			}
		})
	}
}

// A formula of each channel needs an input that declares its channels.
func TestBytesOfChannelsThatAreNotDeclared(t *testing.T) {
	record := recordOfChannels(t, []float64{0.5, 0.5, 0.5}, []float64{0.1, 0.2, 0.3})
	for name, model := range map[string]*onnx.Model{
		"one channel": g.New(g.Free, 1, 16, 16).Node("y = Flatten x").
			Model(), "features of no three": g.New(g.Free, 100).Node("y = Identity x").Model(),
		"features of any number": g.New(1, g.Free).Node("y = Identity x").Model(),
	} {
		if err := model.SetTrainingRecord(record); err != nil {
			t.Fatal(err)
		}
		if _, err := onnx.Reform(model, onnx.Form{Bytes: true}); err == nil ||
			!strings.Contains(err.Error(), "for each of 3 channels") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
