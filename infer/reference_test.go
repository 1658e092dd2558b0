package infer

import (
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/datasettest"
	"slipway/internal/safetensors"
)

func TestReference(t *testing.T) {
	set := datasettest.Digits(t, 2)
	write := func(f *safetensors.File) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "trainer_logits.safetensors")
		if err := safetensors.Write(path, f); err != nil {
			t.Fatal(err)
		}
		return path
	}
	logits := make([]float32, 20)
	logits[set.Label(0)], logits[10+(set.Label(1)+1)%10] = 1, 1
	reference, err := ReadReference(write(&safetensors.File{
		Metadata: map[string]string{"data": set.Name},
		Tensors:  []safetensors.Tensor{safetensors.NewFloat32("logits", []int{2, 10}, logits)},
	}))
	if err != nil {
		t.Fatal(err)
	}
	result, err := reference.Count(t.Context(), set)
	if err != nil || result.Correct != 1 || result.Info.Runtime != "trainer" {
		t.Errorf("%+v, %v", result, err)
	}
	if _, err := reference.Count(t.Context(), datasettest.Digits(t, 3)); err == nil ||
		!strings.Contains(err.Error(), "2 images") {
		t.Errorf("another number of images: %v", err)
	}
	other := *set
	other.Name = "train"
	if _, err := reference.Count(t.Context(), &other); err == nil ||
		!strings.Contains(err.Error(), "not of train") {
		t.Errorf("other data: %v", err)
	}

	for want, tensor := range map[string]safetensors.Tensor{
		`no tensor "logits"`: safetensors.NewFloat32("scores", []int{2, 10}, logits),
		"N×K is wanted":      safetensors.NewFloat32("logits", []int{20}, logits),
		"F32":                safetensors.NewInt32("logits", []int{1, 2}, []int32{1, 2}),
	} {
		path := write(&safetensors.File{Tensors: []safetensors.Tensor{tensor}})
		if _, err := ReadReference(path); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("%v, want %q and the file's name", err, want)
		}
	}
}

// Where the digest is known it decides, whatever the sets are called.
func TestReferenceMatchesByDigest(t *testing.T) {
	set := datasettest.Digits(t, 1)
	for _, test := range []struct {
		data, digest, want string
	}{
		{"elsewhere", set.Digest(), ""}, {set.Name, set.Digest(), ""}, {"", "", ""}, {set.Name, "", ""},
		{set.Name, "0123", "with the sha256 0123"}, {"elsewhere", "", "data elsewhere, not of"},
	} {
		reference := Reference{Logits: Logits{N: 1, K: 10, Values: make([]float32, 10)}, Data: test.data,
			DataSHA256: test.digest}
		err := reference.Matches(set)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("data %q, digest %q: %v, want %q", test.data, test.digest, err, test.want)
		}
	}
}
