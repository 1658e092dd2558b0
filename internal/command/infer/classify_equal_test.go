package infer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	own "slipway/infer/classify"
	"slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// equalModels are classifiers that differ in what they take and what they give.
func equalModels(t *testing.T) map[string]*onnx.Model {
	t.Helper()
	colour := func() *graphmaker.Graph {
		return graphmaker.New(graphmaker.Free, 3, 16, 16).Weight("k", -0.4, 0.4, 5, 3, 3, 3).
			Node("c = Conv x k").Node("r = Relu c").Node("p = GlobalAveragePool r").
			Node("f = Flatten p")
	}
	imagenet := onnx.TrainingRecord{
		DataSet: "own", Elsewhere: true, Sizing: "resize 16×16 crop bilinear",
		ClassLabels:  []string{"ant", "bee", "cat", "dog", "emu"},
		PixelScales:  []float64{0.0171, 0.0175, 0.0174},
		PixelOffsets: []float64{-2.1179, -2.0357, -1.8044},
	}
	padded := onnx.TrainingRecord{
		DataSet: "own", Elsewhere: true, Sizing: "resize 16×16 pad bicubic on #ff8000",
		ClassLabels: []string{"no"},
	}
	models := map[string]*onnx.Model{
		"logits":     colour().Node("y = Identity f").Model(),
		"softmax":    colour().Node("y = Softmax f", graphmaker.Int("axis", 1)).Model(),
		"logarithms": colour().Node("y = LogSoftmax f", graphmaker.Int("axis", 1)).Model(),
		"sigmoid":    colour().Node("y = Sigmoid f").Model(),
		"two classes": colour().Weight("w", -1, 1, 5, 1).Node("z = MatMul f w").
			Node("y = Sigmoid z").Model(),
		"one logit": colour().Weight("w", -0.01, 0.01, 5, 1).Node("y = MatMul f w").Model(),
		"grey": graphmaker.New(graphmaker.Free, 1, 16, 16).Weight("k", -0.1, 0.1, 5, 1, 3, 3).
			Node("c = Conv x k").Node("p = GlobalMaxPool c").Node("y = Flatten p").Model(),
		"channels last": graphmaker.New(graphmaker.Free, 16, 16, 3).
			Node("t = Transpose x", graphmaker.Ints("perm", 0, 3, 1, 2)).
			Weight("k", -0.4, 0.4, 5, 3, 3, 3).Node("c = Conv t k").Node("p = GlobalAveragePool c").
			Node("y = Flatten p").Model(),
		"bytes, fixed batch": graphmaker.New(2, 3, 16, 16).
			Node("f = Cast x", graphmaker.Int("to", int64(onnxpb.TensorProto_FLOAT))).
			Weight("k", -0.4, 0.4, 5, 3, 3, 3).Node("c = Conv f k").Node("p = GlobalAveragePool c").
			Node("y = Flatten p").Model(),
	}
	for name, model := range models {
		record := imagenet
		switch name {
		case "grey", "two classes", "one logit":
			record = padded
		case "bytes, fixed batch":
			record.PixelScales, record.PixelOffsets = nil, nil
			model.Proto.Graph.Input[0].Type.GetTensorType().
				ElemType = proto.Int32(int32(onnxpb.TensorProto_UINT8))
		}
		if err := model.SetTrainingRecord(record); err != nil {
			t.Fatal(err)
		}
	}
	return models
}

// Package classify answers what this command answers of the same files, number by number:
// photographs of every format, turned by their EXIF, transparent ones, grey ones.
func TestClassifyAnswersAsThisCommand(t *testing.T) {
	pictures, err := filepath.Glob("../../../dataset/picture/testdata/pictures/*")
	if err != nil || len(pictures) < 20 {
		t.Fatalf("%d pictures, %v", len(pictures), err)
	}
	for name, model := range equalModels(t) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "model.onnx")
			if err := model.Write(path); err != nil {
				t.Fatal(err)
			}
			args := append([]string{"-model", path, "-runtime", "native", "-json", "-top", "9",
				"-skip-damaged"}, pictures...)
			code, out, errs := runCommand(t, args...)
			if code != 0 {
				t.Fatalf("exit %d: %s", code, errs)
			}
			c, err := own.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			answered := 0
			for line := range strings.Lines(out) {
				var want struct {
					File string
					Top  []struct {
						Class       int
						Name        string
						Probability float64
					}
				}
				if err := json.Unmarshal([]byte(line), &want); err != nil {
					t.Fatal(err)
				}
				file, err := os.Open(want.File)
				if err != nil {
					t.Fatal(err)
				}
				defer file.Close()
				got, err := c.ClassifyReader(t.Context(), file)
				if err != nil || len(got) != len(want.Top) {
					t.Fatalf("%s: %v, %v; want %v", want.File, got, err, want.Top)
				}
				for i, w := range want.Top {
					if got[i] != (own.Result{Class: w.Class, Label: w.Name,
						Probability: w.Probability}) {
						t.Errorf("%s: place %d is %+v, want %+v", want.File, i+1, got[i], w)
					}
				}
				answered++
			}
			if answered < 10 {
				t.Errorf("%d pictures were answered", answered)
			}
		})
	}
}
