// Package inspect describes an ONNX file in full: what is in it, and which
// runtimes will refuse it. The commands inspect and export share it, so that what
// lies beside a graph is what inspect prints.
package inspect

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"slipway/infer"
	"slipway/internal/display"
	"slipway/onnx"
	"slipway/onnx/picture"
)

// Inspection is all that is told of a file.
type Inspection struct {
	// File is the file's name without its folder, so that the same file gives the
	// same text wherever it lies.
	File   string
	SHA256 string // of the file, in hex digits
	Report onnx.Report
	// Runtimes is empty where Report has a Problem: nothing invalid is handed to a
	// runtime.
	Runtimes []infer.Verdict
}

// File reads and describes the model at path, valid or not.
func File(ctx context.Context, path string) (*Inspection, error) {
	model, err := onnx.Read(path)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return describe(ctx, path, hex.EncodeToString(sum.Sum(nil)), model)
}

// Bytes describes the model that is to become the file at path.
func Bytes(ctx context.Context, path string, encoded []byte) (*Inspection, error) {
	model, err := onnx.Decode(encoded)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	sum := sha256.Sum256(encoded)
	return describe(ctx, path, hex.EncodeToString(sum[:]), model)
}

func describe(ctx context.Context, path, sum string, model *onnx.Model) (*Inspection, error) {
	i := &Inspection{File: filepath.Base(path), SHA256: sum, Report: onnx.Inspect(model)}
	i.Report.Path = ""
	if i.Report.Problem != "" {
		i.Report.Problem = strings.TrimPrefix(i.Report.Problem, path+": ")
		return i, nil
	}
	var err error
	if i.Runtimes, err = infer.Support(ctx, model); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return i, nil
}

// Text is what inspect prints.
func (i *Inspection) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nsha256 %s\n\n%s", display.Printable(i.File), i.SHA256, i.Report)
	if len(i.Runtimes) == 0 {
		return b.String()
	}
	b.WriteString("\nruntimes\n")
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, v := range i.Runtimes {
		first := fmt.Sprintf("  %s\t%s\t%s\t", strings.TrimSpace(v.Runtime+" "+v.Version), v.Expectation,
			"")
		if len(v.Reasons) == 0 {
			fmt.Fprintln(table, first)
		}
		for _, reason := range v.Reasons {
			fmt.Fprintf(table, "%s%s [%s]\n", first, display.Printable(reason.Text), reason.Source)
			first = "  \t\t\t"
		}
	}
	table.Flush()
	return trimLines(b.String())
}

// trimLines takes off the blanks that a table leaves behind empty cells.
func trimLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// Picture draws the graph as SVG.
func (i *Inspection) Picture() ([]byte, error) {
	svg, err := picture.SVG(i.Report)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", i.File, err)
	}
	return svg, nil
}
