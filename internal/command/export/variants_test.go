package export

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/cli"
	"slipway/onnx"
)

// TestVariantsOfARun exports a run with two variants: the graph is the one that is
// exported without, and each variant lies beside it.
func TestVariantsOfARun(t *testing.T) {
	path := smallRun(t, "0.1307,0.3081")
	plain, dir := filepath.Join(t.TempDir(), "small.onnx"), t.TempDir()
	if code, _, errs := runExport("-run", path, "-o", plain, "-verify", "none"); code != cli.ExitOK {
		t.Fatal(errs)
	}
	output := filepath.Join(dir, "small.onnx")
	code, out, errs := runExport("-run", path, "-o", output, "-verify", "none", "-variant",
		"float16,int8", "-input", "uint8", "-batch", "4", "-calibration", "64", "-seed", "2", "-max-loss",
		"1")
	if code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	first, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := os.ReadFile(output); err != nil || string(second) != string(first) {
		t.Errorf("the graph is another one beside its variants (%v)", err)
	}
	for _, want := range []string{"calibrated on 64 images of t10k, seed 2", "labels differ",
		"wrote " + output} {
		if !strings.Contains(out, want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
	for _, precision := range []string{"float16", "int8"} {
		model, err := onnx.Read(filepath.Join(dir, "small-"+precision+"-batch4-uint8.onnx"))
		if err != nil {
			t.Fatal(err)
		}
		record, _ := model.VariantRecord()
		if record.Variant != precision+", batch 4, uint8 input" ||
			model.Inputs()[0].String() != "uint8[4×28×28×1]" {
			t.Errorf("%+v takes %v", record, model.Inputs()[0])
		}
	}
}

// TestVariantOfAModel makes one of a file, in the place that -o names and in its own.
func TestVariantOfAModel(t *testing.T) {
	dir := t.TempDir()
	model := filepath.Join(dir, "small.onnx")
	if code, _, errs := runExport("-run", smallRun(t, ""), "-o", model, "-verify",
		"none"); code != cli.ExitOK {
		t.Fatal(errs)
	}
	named := filepath.Join(dir, "named.onnx")
	if code, _, errs := runExport("-model", model, "-softmax", "-o", named); code != cli.ExitOK {
		t.Fatal(errs)
	}
	if code, _, errs := runExport("-model", model, "-softmax"); code != cli.ExitOK {
		t.Fatal(errs)
	}
	a, err := os.ReadFile(named)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "small-softmax.onnx")); err != nil ||
		string(a) != string(b) {
		t.Errorf("the two differ (%v)", err)
	}
	code, _, errs := runExport("-model", named, "-batch", "1")
	if code != cli.ExitFailure || !strings.Contains(errs, "is a variant itself (softmax)") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestVariantUsage(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"nothing asked", []string{"-model", "x.onnx"}, "say which with -variant"},
		{"precision", []string{"-model", "x.onnx", "-variant", "int18"},
			`unknown precision "int18"; did you mean "int8"`},
		{"the same", []string{"-model", "x.onnx", "-variant", "float32"}, "is the graph itself"},
		{"batch", []string{"-model", "x.onnx", "-batch", "0"},
			"-batch 0 is neither dynamic nor a number"},
		{"input", []string{"-model", "x.onnx", "-input", "int8"},
			`-input "int8" is neither float32 nor uint8; did you mean "uint8"`},
		{"calibration", []string{"-model", "x.onnx", "-variant", "int8", "-calibration", "0"},
			"at least 1 image"},
		{"loss", []string{"-model", "x.onnx", "-variant", "int8", "-max-loss", "NaN"},
			"-max-loss NaN is outside"},
		{"calibration of nothing", []string{"-seed", "1"}, "are for variants"},
		{"one file for two", []string{"-model", "x.onnx", "-variant", "int8,float16", "-o", "y.onnx"},
			"-o names one file, but -variant asks for 2"},
		{"model and run", []string{"-model", "x.onnx", "-run", "y", "-softmax"},
			"-model is there already"},
		{"model and verify", []string{"-model", "x.onnx", "-softmax", "-verify", "none"},
			"held against it in onnxruntime"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if code, _, errs := runExport(test.args...); code != cli.ExitUsage ||
				!strings.Contains(errs, test.want) {
				t.Errorf("exit %d, %q; want %q", code, errs, test.want)
			}
		})
	}
	if code, _, errs := runExport("-model", filepath.Join(t.TempDir(), "none.onnx"), "-variant",
		"int8"); code != cli.ExitFailure || !strings.Contains(errs, "none.onnx") {
		t.Errorf("exit %d, %q", code, errs)
	}
}
