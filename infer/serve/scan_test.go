package serve_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/infer/serve"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// put writes a file with the folders above it.
func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(mkdir(t, path), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// An odd entry of a folder is told of, and is all that is not served: neither the start nor letting
// go of what is gone depends on it.
func TestOddEntriesOfAFolder(t *testing.T) {
	dir := t.TempDir()
	at := func(path string) string { return filepath.Join(dir, filepath.FromSlash(path)) }
	copyFile(t, modelFile("small"), at("a/1/model.onnx"))
	copyFile(t, modelFile("small"), at("b.onnx"))
	put(t, at("a/2"), "a file with a version's name")
	put(t, at("c.onnx/x"), "a folder with a model's name")
	copyFile(t, modelFile("flat"), at("a.onnx"))
	for _, loop := range []string{"loop", "a/3"} {
		if err := os.Symlink(filepath.Base(loop), at(loop)); err != nil {
			t.Skip("this system has no links:", err)
		}
	}
	told := []string{"loop: ", filepath.Join("3", "model.onnx") + ": ",
		"are both version 1 of the model"}
	// Where nothing is closed to root, one is left out.
	if err := os.Mkdir(at("lost+found"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadDir(at("lost+found")); err != nil {
		told = append(told, "lost+found: ")
	}
	s := start(t, serve.Config{Models: []string{dir}, Poll: poll})
	s.serves(t, "a/1 READY", "b/1 READY")
	if err := os.Remove(at("b.onnx")); err != nil {
		t.Fatal(err)
	}
	copyFile(t, modelFile("flat"), at("d.onnx"))
	s.serves(t, "a/1 READY", "d/1 READY")
	for _, words := range told {
		if strings.Count(s.log.String(), words) != 1 {
			t.Errorf("%q is told %d times: %s", words, strings.Count(s.log.String(), words), s.log)
		}
	}
}

// A name that is no text stops no start.
func TestStartBesideANameThatIsNoText(t *testing.T) {
	dir := t.TempDir()
	copyFile(t, modelFile("small"), filepath.Join(dir, "small.onnx"))
	if err := os.WriteFile(filepath.Join(dir, "\xff.onnx"), nil, 0o666); err != nil {
		t.Skip("this system has no such names:", err)
	}
	s := start(t, serve.Config{Models: []string{dir}, Poll: poll})
	s.serves(t, "small/1 READY")
}

// A named file that is gone stays served, and others are let go all the same.
func TestANamedFileThatIsGoneKeepsNothingElse(t *testing.T) {
	dir := t.TempDir()
	named, folder := filepath.Join(dir, "named.onnx"), filepath.Join(dir, "models")
	copyFile(t, modelFile("small"), named)
	copyFile(t, modelFile("small"), filepath.Join(folder, "other.onnx"))
	s := start(t, serve.Config{Models: []string{named, folder}, Poll: poll})
	s.serves(t, "named/1 READY", "other/1 READY")
	for _, path := range []string{named, filepath.Join(folder, "other.onnx")} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	s.serves(t, "named/1 READY")
}

// Of two files that are one version of a model the one that is served stays, whichever came first.
func TestTheServedOfTwoStays(t *testing.T) {
	dir := t.TempDir()
	copyFile(t, modelFile("small"), filepath.Join(dir, "m.onnx"))
	s := start(t, serve.Config{Models: []string{dir}, Poll: poll})
	otherModel(t, mkdir(t, filepath.Join(dir, "m", "1", "model.onnx")))
	eventually(t, func() error {
		if !strings.Contains(s.log.String(), "are both version 1 of the model") {
			return fmt.Errorf("it is not told")
		}
		return nil
	})
	copyFile(t, modelFile("flat"), filepath.Join(dir, "later.onnx"))
	s.serves(t, "later/1 READY", "m/1 READY")
	if strings.Count(s.log.String(), `"model":"m"`) != 1 {
		t.Errorf("it was loaded again: %s", s.log)
	}
	// What is left takes the place of what is gone.
	if err := os.Remove(filepath.Join(dir, "m.onnx")); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if strings.Count(s.log.String(), `"msg":"a model is served","model":"m"`) != 2 {
			return fmt.Errorf("the other is not served: %s", s.log)
		}
		return nil
	})
}

// externalModel writes a model whose first tensor lies in a file of its own.
func externalModel(t *testing.T, path, weights string, change byte) {
	t.Helper()
	model, err := onnx.Read(modelFile("small"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tensor := range model.Proto.GetGraph().GetInitializer() {
		raw := tensor.GetRawData()
		if tensor.GetDataType() != int32(onnxpb.TensorProto_FLOAT) || len(raw) == 0 {
			continue
		}
		raw[3] ^= change
		put(t, filepath.Join(filepath.Dir(path), filepath.FromSlash(weights)), string(raw))
		tensor.RawData = nil
		tensor.DataLocation = onnxpb.TensorProto_EXTERNAL.Enum()
		tensor.ExternalData = []*onnxpb.StringStringEntryProto{{Key: proto.String("location"),
			Value: proto.String(weights)}}
		break
	}
	raw, err := proto.Marshal(model.Proto)
	if err != nil {
		t.Fatal(err)
	}
	put(t, path, string(raw))
}

// A model is its own file and those that it names: weights that change are taken up, and what grows
// beside it is none of its.
func TestFilesBesideAModel(t *testing.T) {
	for _, name := range []string{"model.onnx", "digits.onnx"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, name)
			externalModel(t, path, "data/weights.bin", 0)
			growing, err := os.Create(filepath.Join(dir, "log"))
			if err != nil {
				t.Fatal(err)
			}
			defer growing.Close()
			s := start(t, serve.Config{Models: []string{path}, Poll: poll})
			model := strings.TrimSuffix(name, ".onnx")
			s.serves(t, model+"/1 READY")
			served := func() int {
				fmt.Fprintln(growing, "it grows with every look")
				return strings.Count(s.log.String(), `"msg":"a model is served"`)
			}
			externalModel(t, path, "data/weights.bin", 0x80)
			eventually(t, func() error {
				if served() < 2 {
					return fmt.Errorf("the other weights are not taken up: %s", s.log)
				}
				return nil
			})
			if err := os.Truncate(filepath.Join(dir, "data", "weights.bin"), 4); err != nil {
				t.Fatal(err)
			}
			s.serves(t, model+"/1 READY the version before is served … weights.bin")
		})
	}
}
