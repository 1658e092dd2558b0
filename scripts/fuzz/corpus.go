// Command fuzz keeps, of the inputs that fuzzing the ONNX decoder came upon, the
// shortest for each thing that can be said of one: the words of Decode's or of
// Check's error, or for a model that passes, the operators that it holds. These go
// into the repository, where every go test runs them. scripts/fuzz/fuzz-onnx calls it.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"slipway/internal/atomicfile"
	"slipway/onnx"
)

const (
	header = "go test fuzz v1\n[]byte("
	// maxKept and maxBytes bound what is committed.
	maxKept  = 200
	maxBytes = 4 << 10
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr,
			"usage: fuzz FOUND KEPT\n\nFOUND is the folder of fuzzing's cache, KEPT testdata/fuzz/FuzzDecode.")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

type input struct {
	name string
	file []byte // as Go's fuzzing writes it
	size int    // bytes of the model
}

func run(found, kept string) error {
	entries, err := os.ReadDir(found)
	if err != nil {
		return err
	}
	shortest := make(map[string]input)
	for _, entry := range entries {
		path := filepath.Join(found, entry.Name())
		file, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		data, err := decode(string(file))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if len(data) > maxBytes {
			continue
		}
		one, said := input{entry.Name(), file, len(data)}, verdict(data)
		if other, ok := shortest[said]; !ok || one.size < other.size || one.size == other.size &&
			one.name < other.name {
			shortest[said] = one
		}
	}
	inputs := make([]input, 0, len(shortest))
	for _, one := range shortest {
		inputs = append(inputs, one)
	}
	sort.Slice(inputs, func(i, j int) bool {
		if inputs[i].size != inputs[j].size {
			return inputs[i].size < inputs[j].size
		}
		return inputs[i].name < inputs[j].name
	})
	inputs = inputs[:min(len(inputs), maxKept)]
	if err := os.MkdirAll(kept, 0o777); err != nil {
		return err
	}
	total := 0
	for _, one := range inputs {
		if err := atomicfile.WriteBytes(filepath.Join(kept, one.name), one.file); err != nil {
			return err
		}
		total += one.size
	}
	fmt.Printf("kept %d of %d inputs, %d bytes of models, in %s\n", len(inputs), len(entries), total,
		kept)
	return nil
}

func decode(file string) ([]byte, error) {
	text, ok := strings.CutPrefix(file, header)
	if !ok {
		return nil, errors.New("it is no input of a fuzz test of one []byte")
	}
	data, err := strconv.Unquote(strings.TrimSuffix(strings.TrimSpace(text), ")"))
	if err != nil {
		return nil, fmt.Errorf("it is no input of a fuzz test: %w", err)
	}
	return []byte(data), nil
}

// verdict is what is said of the data, without the names and numbers in it.
func verdict(data []byte) string {
	model, err := onnx.Decode(data)
	if err == nil {
		err = model.Check()
	}
	if err != nil {
		return regexp.MustCompile(`"(\\.|[^"\\])*"|\[[^\]]*\]|-?\d+|\([^)]*\)|�|…`).
			ReplaceAllString(err.Error(), "·")
	}
	operators := make(map[string]bool)
	for _, node := range onnx.Inspect(model).Nodes {
		if node.Checked {
			operators[node.Operator] = true
		}
	}
	names := make([]string, 0, len(operators))
	for name := range operators {
		names = append(names, name)
	}
	sort.Strings(names)
	return "passes: " + strings.Join(names, " ")
}
