package export

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/cli"
	"slipway/onnx"
	"slipway/train"
)

// A graph of a network that was trained with the binary loss says that its scores are a sigmoid's,
// and takes no softmax.
func TestABinaryNetworkHasNoSoftmax(t *testing.T) {
	network, err := builder.New("small", builder.Shape{1, 28, 28}, builder.Flatten{},
		builder.Dense{Units: 10})
	if err != nil {
		t.Fatal(err)
	}
	path := trainedAs(t, network,
		train.Config{Data: "t10k", Epochs: 1, Loss: train.Loss{Name: train.LossBinary}})
	output := filepath.Join(t.TempDir(), "small.onnx")
	code, out, errs := runExport("-run", path, "-o", output, "-verify", "none", "-softmax")
	if _, err := os.Stat(output); code != cli.ExitFailure || err == nil ||
		!strings.Contains(errs, "take the sigmoid of each score, as infer does, and leave -softmax out") {
		t.Fatalf("exit %d, %v: %s%s", code, err, out, errs)
	}
	if code, _, errs := runExport("-run", path, "-o", output, "-verify", "none"); code != cli.ExitOK {
		t.Fatal(errs)
	}
	model, err := onnx.Read(output)
	if err != nil {
		t.Fatal(err)
	}
	record, _, err := model.TrainingRecord()
	if err != nil || record.Probabilities != onnx.SigmoidOfScores ||
		model.Metadata()["slipway.probabilities"] != "sigmoid" {
		t.Errorf("%+v, %v", record, err)
	}
	card, err := os.ReadFile(strings.TrimSuffix(output, ".onnx") + "/README.md")
	if err != nil || !strings.Contains(string(card), "whose sigmoid is the class's own probability") {
		t.Errorf("%v: %s", err, card)
	}
	if code, _, errs := runExport("-model", output, "-softmax"); code != cli.ExitFailure ||
		!strings.Contains(errs, output) || !strings.Contains(errs, "leave -softmax out") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
