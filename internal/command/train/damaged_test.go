package train

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/internal/cli"
	"slipway/onnx"
	"slipway/onnx/convert"
)

// damagedVariable says how many damaged files are tried.
const damagedVariable = "SLIPWAY_DAMAGED_MODELS"

// tinyGraph is the fixture's network as a model.
func tinyGraph(t *testing.T, dir string) *onnx.Model {
	t.Helper()
	network, err := readNetwork(filepath.Join(dir, "tiny.json"))
	if err != nil {
		t.Fatal(err)
	}
	model, err := convert.FromNetwork(network, network.InitialWeights(1),
		onnx.TrainingRecord{PixelScale: 1.0 / 255}, convert.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return model
}

func encodeModel(t *testing.T, model *onnx.Model) []byte {
	t.Helper()
	encoded, err := onnx.Encode(model)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// damage changes a file as disks, networks and editors do: bits flip, bytes are set to
// one value, cut off, left out or put in. In two files of three the length stays, so
// that many can still be read, with other weights.
func damage(source *rand.Rand, file []byte) []byte {
	damaged := slices.Clone(file)
	kinds := []int{3, 3, 6}[source.IntN(3)]
	for range 1 + source.IntN(4) {
		if len(damaged) < 2 {
			break
		}
		at := source.IntN(len(damaged) - 1)
		length := 1 + source.IntN(min(64, len(damaged)-at-1)+1)
		end := min(len(damaged), at+length)
		switch source.IntN(kinds) {
		case 0, 1:
			damaged[at] ^= 1 << source.IntN(8)
		case 2:
			for i := range damaged[at:end] {
				damaged[at+i] = []byte{0, 0x7f, 0xff}[length%3]
			}
		case 3:
			damaged = damaged[:at]
		case 4:
			damaged = slices.Delete(damaged, at, end)
		case 5:
			damaged = slices.Insert(damaged, at, damaged[at:end]...)
		}
	}
	return damaged
}

// No damaged model ends train -from in a panic: it trains on what can be read, or says
// what is wrong. SLIPWAY_DAMAGED_MODELS tries more of them.
func TestDamagedModelsDoNotPanic(t *testing.T) {
	count := 60
	if text := os.Getenv(damagedVariable); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s: %v", damagedVariable, err)
		}
	}
	dir := fixture(t)
	good := encodeModel(t, tinyGraph(t, dir))
	path := filepath.Join(dir, "damaged.onnx")
	exits := map[int]int{}
	for seed := range count {
		if err := os.WriteFile(path, damage(rand.New(rand.NewPCG(uint64(seed), 16)), good),
			0o666); err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if problem := recover(); problem != nil {
					t.Errorf("seed %d panics: %v", seed, problem)
				}
			}()
			code, _, errs := runTrain(t, "-from", path, "-data", dir+":train", "-test", dir+":t10k", "-runs",
				filepath.Join(dir, "runs"), "-name", fmt.Sprint("damaged", seed), "-epochs", "1", "-batch", "8")
			exits[code]++
			if code != cli.ExitOK && (code != cli.ExitFailure || strings.TrimSpace(errs) == "") {
				t.Errorf("seed %d: exit %d: %s", seed, code, errs)
			}
			if strings.Contains(errs, "panic") || strings.Contains(errs, "goroutine ") {
				t.Errorf("seed %d: %s", seed, errs)
			}
		}()
	}
	t.Logf("exit codes of %d damaged models: %v", count, exits)
	if exits[cli.ExitFailure] == 0 {
		t.Error("nothing was damaged")
	}
}

// -from says that it sorted a model's nodes, and trains it as the sorted one.
func TestTrainingFromAnUnsortedModel(t *testing.T) {
	dir := fixture(t)
	model := tinyGraph(t, dir)
	unsorted := &onnx.Model{Proto: proto.CloneOf(model.Proto)}
	slices.Reverse(unsorted.Proto.Graph.Node)
	var histories [][]byte
	for name, m := range map[string]*onnx.Model{"sorted": model, "unsorted": unsorted} {
		path := filepath.Join(dir, name+".onnx")
		if err := os.WriteFile(path, encodeModel(t, m), 0o666); err != nil {
			t.Fatal(err)
		}
		code, out, errs := runTrain(t, "-from", path, "-data", dir+":train", "-test", "none", "-runs",
			filepath.Join(dir, "runs"), "-name", name, "-epochs", "2", "-batch", "8")
		if code != cli.ExitOK {
			t.Fatalf("exit %d: %s", code, errs)
		}
		if strings.Contains(out, "they were sorted") != (name == "unsorted") {
			t.Errorf("%s:\n%s", name, out)
		}
		history := readHistory(t, filepath.Join(dir, "runs", name))
		histories = append(histories, fmt.Append(nil, history[0].MeanLoss, history[1].MeanLoss))
	}
	if !bytes.Equal(histories[0], histories[1]) {
		t.Errorf("the losses are %s and %s", histories[0], histories[1])
	}
}
