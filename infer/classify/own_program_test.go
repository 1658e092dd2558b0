package classify_test

import (
	"encoding/json"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"slipway/infer"
	"slipway/infer/classify"
)

// documented returns the program that docs/own-program.md has under a heading.
func documented(t *testing.T, heading string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/own-program.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "\n## "+heading+"\n")
	_, program, begun := strings.Cut(section, "```go\n")
	program, _, ended := strings.Cut(program, "```")
	if !found || !begun || !ended || !strings.HasPrefix(program, "package main\n") {
		t.Fatalf("docs/own-program.md has no program under %q", heading)
	}
	return program
}

// ownLines are the lines of a program that are neither blank nor imports.
func ownLines(program string) int {
	lines, imports := 0, false
	for line := range strings.Lines(program) {
		switch line = strings.TrimSpace(line); {
		case line == "import (":
			imports = true
		case imports:
			imports = line != ")"
		case line != "":
			lines++
		}
	}
	return lines
}

// The documents' programs are as short as they say.
func TestDocumentedProgramsAreShort(t *testing.T) {
	for heading, most := range map[string]int{"The shortest program": 15, "An HTTP handler": 25} {
		if lines := ownLines(documented(t, heading)); lines > most {
			t.Errorf("%s: %d lines, at most %d are wanted", heading, lines, most)
		}
	}
}

// digitFile writes a picture of E1's size.
func digitFile(t *testing.T) (string, image.Image) {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, 28, 28))
	for i := range m.Pix {
		if x, y := i%28, i/28; x > 11 && x < 15 && y > 4 && y < 23 {
			m.Pix[i] = 250
		}
	}
	path := filepath.Join(t.TempDir(), "one.png")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(file, m); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return path, m
}

// e1 is the repository's graph, by its whole path.
func e1(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../graphs/e1.onnx")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// The shortest program, in a module of its own, prints what the package answers; so it does as
// WebAssembly, in Node.
func TestTheShortestProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds two programs")
	}
	picture, _ := digitFile(t)
	c, err := classify.Open(e1(t), classify.WithTop(3))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want, err := c.ClassifyFile(t.Context(), picture)
	if err != nil || want[0].Label != "1" {
		t.Fatalf("%v, %v", want, err)
	}
	folder := ownModule(t, documented(t, "The shortest program"))
	checkPrinted(t, "the program",
		goCommand(t, folder, []string{"CGO_ENABLED=0"}, "run", ".", e1(t), picture), want)

	node, err := exec.LookPath("node")
	if err != nil {
		t.Log("node is not installed: the WebAssembly is built by another test, and not run")
		return
	}
	goCommand(t, folder, []string{"GOOS=js", "GOARCH=wasm"}, "build", "-o", "mine.wasm", ".")
	starter := filepath.Join(strings.TrimSpace(goCommand(t, folder, nil, "env", "GOROOT")), "lib",
		"wasm", "wasm_exec_node.js")
	command := exec.Command(node, starter, "mine.wasm", e1(t), picture)
	command.Dir = folder
	command.Env = []string{"PATH=" + os.Getenv("PATH")} // Go's start refuses a long environment
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s in node: %v\n%s", starter, err, out)
	}
	checkPrinted(t, "node", string(out), want)
}

// checkPrinted checks that a program has printed the results, a line each.
func checkPrinted(t *testing.T, name, out string, want []classify.Result) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for i, r := range want {
		if i >= len(lines) || !strings.HasPrefix(lines[i], r.Label+" ") {
			t.Fatalf("%s printed %q, want %v", name, out, want)
		}
	}
}

// The program with onnxruntime is built in a module of its own, and prints what the native runtime
// answers where there is the library.
func TestTheProgramWithONNXRuntime(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a program")
	}
	folder := ownModule(t, documented(t, "onnxruntime instead"))
	program := filepath.Join(folder, "mine.exe")
	goCommand(t, folder, nil, "build", "-o", program, ".")
	cgo := strings.TrimSpace(goCommand(t, folder, nil, "env", "CGO_ENABLED"))
	if cgo != "1" || os.Getenv(infer.LibraryVariable) == "" {
		t.Skipf("CGO_ENABLED is %s, %s %q: the program is built and not run", cgo,
			infer.LibraryVariable, os.Getenv(infer.LibraryVariable))
	}
	picture, m := digitFile(t)
	c, err := classify.Open(e1(t), classify.WithTop(3))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	out, err := exec.CommandContext(t.Context(), program, e1(t), picture).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	checkPrinted(t, "the program", string(out), mustClassify(t, c, m))
}

// handlerTest is put beside the documents' handler, and asks it from 64 goroutines.
const handlerTest = `package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"

	"slipway/infer/classify"
)

func TestHandler(t *testing.T) {
	c, err := classify.Open(os.Getenv("MODEL"), classify.WithTop(3))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	server := httptest.NewServer(handler(c))
	defer server.Close()
	picture, err := os.ReadFile(os.Getenv("PICTURE"))
	if err != nil {
		t.Fatal(err)
	}
	want := os.Getenv("WANT") + "\n"
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for range 8 {
				code, body := post(t, server.URL, picture)
				if code != http.StatusOK || body != want {
					t.Errorf("%d %s, want %s", code, body, want)
				}
			}
			if code, body := post(t, server.URL, picture[:40]); code != http.StatusBadRequest {
				t.Errorf("half a picture: %d %s", code, body)
			}
		})
	}
	all.Wait()
}

func post(t *testing.T, url string, picture []byte) (int, string) {
	response, err := http.Post(url, "image/png", bytes.NewReader(picture))
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return response.StatusCode, string(body)
}
`

// The documents' handler, in a module of its own, answers 64 clients at once what the package
// answers, under the race detector where there is a C compiler for it.
func TestTheHandlerInAModuleOfItsOwn(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a test of another module")
	}
	picture, m := digitFile(t)
	c, err := classify.Open(e1(t), classify.WithTop(3))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want, err := json.Marshal(mustClassify(t, c, m))
	if err != nil {
		t.Fatal(err)
	}
	folder := ownModule(t, documented(t, "An HTTP handler"))
	if err := os.WriteFile(filepath.Join(folder, "main_test.go"), []byte(handlerTest),
		0o666); err != nil {
		t.Fatal(err)
	}
	args := []string{"test", "-count=1"}
	if _, err := exec.LookPath("gcc"); err == nil && runtime.GOOS == "linux" {
		args = append(args, "-race")
	} else {
		t.Log("without the race detector, which needs a C compiler")
	}
	goCommand(t, folder, []string{"MODEL=" + e1(t), "PICTURE=" + picture, "WANT=" + string(want)},
		append(args, ".")...)
}
