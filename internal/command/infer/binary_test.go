package infer

import (
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	own "slipway/infer/classify"
	"slipway/internal/graphmaker"
	"slipway/metrics"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// Of a network that was trained with the binary loss, a picture's probabilities are the sigmoids of
// its scores, and a report's log loss is the binary one.
func TestProbabilitiesOfABinaryNetwork(t *testing.T) {
	dir := t.TempDir()
	digit := filepath.Join(dir, "a.png")
	digitPNG(t, digit, 0, 1)
	const told = "infer: note: the probability of each class stands alone"
	probabilities := func(model string, note bool) (sum float64) {
		code, out, errs := runCommand(t, "-model", model, "-runtime", "native", "-json", "-top", "10",
			digit)
		var said struct {
			Top []struct{ Probability float64 }
		}
		if err := json.Unmarshal([]byte(out), &said); err != nil || code != 0 {
			t.Fatalf("exit %d: %v: %s%s", code, err, out, errs)
		}
		if strings.Contains(errs, told) != note {
			t.Errorf("said is %s", errs)
		}
		for _, candidate := range said.Top {
			sum += candidate.Probability
		}
		return sum
	}
	usual := modelThatRecords(t, onnx.TrainingRecord{})
	binary := modelThatRecords(t, onnx.TrainingRecord{Probabilities: onnx.SigmoidOfScores})
	if a, b := probabilities(usual, false), probabilities(binary, true); math.Abs(a-1) > 1e-5 ||
		math.Abs(b-1) < 1e-3 {
		t.Errorf("the probabilities sum to %v, and to %v where classes stand alone", a, b)
	}
	folder, table := filepath.Join(dir, "report"), filepath.Join(dir, "answers.csv")
	code, _, errs := runCommand(t, "-model", binary, "-runtime", "native", "-data", smallData(t, 50),
		"-report", folder, "-o", table)
	if code != 0 {
		t.Fatal(errs)
	}
	raw, err := os.ReadFile(filepath.Join(folder, "metrics.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m metrics.Metrics
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	rows := readCSV(t, table)
	want := 0.0
	for _, row := range rows[1:] {
		for class, z := range row[len(row)-10:] {
			value := number(t, z)
			if row[1] == string(rune('0'+class)) {
				value = -value
			}
			want += math.Log1p(math.Exp(value)) / 10 / float64(len(rows)-1)
		}
	}
	if math.Abs(*m.LogLoss-want) > 1e-5 {
		t.Errorf("log loss %v, the binary one is %v", *m.LogLoss, want)
	}
	text, err := os.ReadFile(filepath.Join(folder, "report.md"))
	if err != nil || !strings.Contains(string(text), "the probability of each class stands alone") {
		t.Errorf("the report does not say what the probabilities are: %v", err)
	}
}

func readCSV(t *testing.T, path string) [][]string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// surest is a model that is sure of every class of every digit, and of class 3 the most: the
// sigmoids of its scores are all 1 as float32.
func surest(t *testing.T) string {
	t.Helper()
	scores := []float32{18, 18, 18, 20, 18, 18, 18, 18, 18, 19}
	model := graphmaker.New(graphmaker.Free, 1, 28, 28).Weight("w", 0, 0, 784, 10).
		Tensor(&onnxpb.TensorProto{Name: proto.String("b"), Dims: []int64{10}, FloatData: scores,
			DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT))}).
		Node("f = Flatten x").Node("y = Gemm f w b").Model()
	if err := model.SetTrainingRecord(onnx.TrainingRecord{
		Probabilities: onnx.SigmoidOfScores,
	}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "surest.onnx")
	if err := model.Write(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// A picture is of the class that has the highest score, also where the probabilities of others are
// rounded to the same: as -data and package classify say.
func TestTheBestOfSureScores(t *testing.T) {
	model := surest(t)
	dir := t.TempDir()
	digit, table := filepath.Join(dir, "a.png"), filepath.Join(dir, "answers.csv")
	digitPNG(t, digit, 0, 1)
	code, out, errs := runCommand(t, "-model", model, "-runtime", "native", "-json", "-top", "2",
		digit)
	var said struct{ Top []candidate }
	if err := json.Unmarshal([]byte(out), &said); err != nil || code != 0 {
		t.Fatalf("exit %d: %v: %s%s", code, err, out, errs)
	}
	want := []candidate{{3, "3", 1}, {9, "9", 1}}
	if !slices.Equal(said.Top, want) {
		t.Errorf("the command says %+v, want %+v", said.Top, want)
	}
	c, err := own.Open(model, own.WithTop(2))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	results, err := c.ClassifyFile(t.Context(), digit)
	if err != nil || len(results) != 2 || results[0].Class != 3 || results[1].Class != 9 {
		t.Errorf("package classify says %+v, %v", results, err)
	}
	code, _, errs = runCommand(t, "-model", model, "-runtime", "native", "-data", smallData(t, 5),
		"-o", table)
	if code != 0 {
		t.Fatal(errs)
	}
	for _, row := range readCSV(t, table)[1:] {
		if row[2] != "3" {
			t.Errorf("with -data it says %v", row)
		}
	}
}
