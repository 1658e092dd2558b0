package main

import (
	"context"
	"fmt"
	"image"
	"math"
	"slices"

	ort "github.com/yalue/onnxruntime_go"

	"slipway/infer/classify"
	"slipway/infer/port"
	"slipway/onnx"
)

// byHand is what a program does that calls onnxruntime itself, and does it well.
type byHand struct {
	session *ort.AdvancedSession
	fill    func(input []float32, m image.Image)
	input   []float32
	scores  []float32
	labels  []string
}

func openByHand(path string, labels []string, set images) (*byHand, error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer options.Destroy()
	if err := options.SetIntraOpNumThreads(1); err != nil {
		return nil, err
	}
	if err := options.SetInterOpNumThreads(1); err != nil {
		return nil, err
	}
	inputs, outputs, err := ort.GetInputOutputInfo(path)
	if err != nil {
		return nil, err
	}
	channels, fill, err := filler(path, set.all[0])
	if err != nil {
		return nil, err
	}
	input, err := ort.NewEmptyTensor[float32](
		ort.NewShape(1, channels, int64(set.height), int64(set.width)))
	if err != nil {
		return nil, err
	}
	output, err := ort.NewEmptyTensor[float32](ort.NewShape(1, int64(len(labels))))
	if err != nil {
		return nil, err
	}
	session, err := ort.NewAdvancedSession(path, []string{inputs[0].Name}, []string{outputs[0].Name},
		[]ort.Value{input}, []ort.Value{output}, options)
	if err != nil {
		return nil, err
	}
	return &byHand{session, fill, input.GetData(), output.GetData(), labels}, nil
}

// filler writes images such as m into the input of the model.
func filler(path string, m image.Image) (
	channels int64, fill func(input []float32, m image.Image), err error,
) {
	if _, ok := m.(*image.Gray); ok {
		return 1, asTheyAre, nil
	}
	model, err := onnx.Read(path)
	if err != nil {
		return 0, nil, err
	}
	pixels, err := port.PixelsOfModel(model)
	if err != nil {
		return 0, nil, err
	}
	if err := pixels.CheckChannels(3); err != nil {
		return 0, nil, fmt.Errorf("%s: %w", path, err)
	}
	table := &byTable{pixels.ChannelTable(0), pixels.ChannelTable(1), pixels.ChannelTable(2)}
	return 3, table.fill, nil
}

// asTheyAre feeds pixels as they are, 0…255, which E1 takes.
func asTheyAre(input []float32, m image.Image) {
	for i, x := range m.(*image.Gray).Pix {
		input[i] = float32(x)
	}
}

// byTable has what a byte of each channel becomes.
type byTable [3][256]float32

// fill feeds red, green and blue, one plane after the other.
func (t *byTable) fill(input []float32, m image.Image) {
	size, pix := len(input)/3, m.(*image.RGBA).Pix
	red, green, blue := input[:size], input[size:2*size], input[2*size:3*size]
	for i := range size {
		red[i], green[i], blue[i] = t[0][pix[4*i]], t[1][pix[4*i+1]], t[2][pix[4*i+2]]
	}
}

func (b *byHand) classify(_ context.Context, m image.Image) ([]classify.Result, error) {
	b.fill(b.input, m)
	if err := b.session.Run(); err != nil {
		return nil, err
	}
	largest, sum := slices.Max(b.scores), 0.0
	results := make([]classify.Result, len(b.scores))
	for i, z := range b.scores {
		p := math.Exp(float64(z - largest))
		results[i] = classify.Result{Class: i, Label: b.labels[i], Probability: p}
		sum += p
	}
	for i := range results {
		results[i].Probability /= sum
	}
	slices.SortFunc(results, func(a, b classify.Result) int {
		if a.Probability > b.Probability {
			return -1
		}
		return 1
	})
	return results, nil
}
