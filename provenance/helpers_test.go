package provenance_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
	"slipway/provenance"
)

// graph is a real model.
var graph = filepath.Join("..", "graphs", "e1.onnx")

// newSigner makes a key in a folder of its own.
func newSigner(t testing.TB) *provenance.Signer {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := provenance.NewKey(path); err != nil {
		t.Fatal(err)
	}
	signer, err := provenance.ReadSigner(path)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// write writes a file, with the folders above it, and returns its path.
func write(t testing.TB, path string, content []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// writePEM writes a key, encoded, and returns its path.
func writePEM(t testing.TB, kind string, encoded []byte, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return write(t, filepath.Join(t.TempDir(), "key"),
		pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: encoded}))
}

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func edKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func privatePEM(t testing.TB, key crypto.PrivateKey) string {
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	return writePEM(t, "PRIVATE KEY", encoded, err)
}

func publicPEM(t testing.TB, key crypto.PublicKey) string {
	encoded, err := x509.MarshalPKIXPublicKey(key)
	return writePEM(t, "PUBLIC KEY", encoded, err)
}

// refused checks that there is an error which says all of the words.
func refused(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("nothing is refused, want %q", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error is %q, want %q in it", err, word)
		}
	}
}

// edit changes JSON as a tree.
func edit(t testing.TB, text []byte, change func(tree map[string]any)) []byte {
	t.Helper()
	var tree map[string]any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	change(tree)
	edited, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return edited
}

// external writes a model whose tensors lie in weights.bin beside it, and returns its path.
func external(t *testing.T, dir string) string {
	t.Helper()
	return externalAt(t, filepath.Join(dir, "mine.onnx"), "weights.bin")
}

// externalAt writes a model whose tensors lie in a file beside it.
func externalAt(t *testing.T, path, file string) string {
	t.Helper()
	model, err := onnx.Read(filepath.Join("..", "infer", "testdata", "small.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	var weights []byte
	entry := func(key, value string) *onnxpb.StringStringEntryProto {
		return &onnxpb.StringStringEntryProto{Key: proto.String(key), Value: proto.String(value)}
	}
	for _, tensor := range model.Proto.GetGraph().GetInitializer() {
		if len(tensor.GetRawData()) == 0 {
			continue
		}
		tensor.ExternalData = []*onnxpb.StringStringEntryProto{entry("location", file),
			entry("offset", strconv.Itoa(len(weights))),
			entry("length", strconv.Itoa(len(tensor.GetRawData())))}
		tensor.DataLocation = onnxpb.TensorProto_EXTERNAL.Enum()
		weights = append(weights, tensor.GetRawData()...)
		tensor.RawData = nil
	}
	if len(weights) == 0 {
		t.Fatal("the model has no tensors in bytes")
	}
	encoded, err := proto.Marshal(model.Proto)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(filepath.Dir(path), filepath.FromSlash(file)), weights)
	return write(t, path, encoded)
}
