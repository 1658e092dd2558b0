package command_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
)

// writeDigit writes a picture of 28×28 pixels, and returns the file's bytes.
func writeDigit(t *testing.T, path string) []byte {
	t.Helper()
	drawn := image.NewGray(image.Rect(0, 0, 28, 28))
	for i := range drawn.Pix {
		drawn.Pix[i] = color.Gray{uint8(i * i / 7)}.Y
	}
	var file bytes.Buffer
	if err := png.Encode(&file, drawn); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, file.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// A picture that is posted to serve has the answer that infer gives, to the last digit.
func TestServeAnswersAsInfer(t *testing.T) {
	model, err := filepath.Abs(filepath.Join("..", "..", "graphs", "e1.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := writeDigit(t, filepath.Join(dir, "digit.png"))
	said := runIn(t, dir, "infer", "-model", model, "-runtime", "native", "-json", "-top", "10",
		"digit.png")
	type told struct {
		Top []struct {
			Class       int
			Name        string
			Probability float64
		}
	}
	var want, got told
	if err := json.Unmarshal([]byte(said.stdout), &want); err != nil || len(want.Top) != 10 {
		t.Fatalf("%v: %s%s", err, said.stdout, said.stderr)
	}

	server := exec.Command(filepath.Join(commands(t), "serve"), "-listen", "127.0.0.1:0", model)
	output, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	server.Stderr = &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Process.Kill()
	lines := bufio.NewScanner(output)
	if !lines.Scan() {
		t.Fatalf("it does not say where it is: %s", &log)
	}
	response, err := http.Post(lines.Text()+"v2/models/e1/classify?top=10", "image/png",
		bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).
		Decode(&got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v: serve says %+v, infer %+v", err, got, want)
	}
	// It ends well when it is told to.
	if err := server.Process.Signal(os.Interrupt); err != nil {
		t.Skip("this system has no such signal:", err)
	}
	if err := server.Wait(); err != nil {
		t.Errorf("%v: %s", err, &log)
	}
}
