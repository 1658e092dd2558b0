package serve_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"os"

	"slipway/infer/serve"
	"slipway/provenance"
)

// newSigner makes a key.
func newSigner(t *testing.T) *provenance.Signer {
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

func sign(t *testing.T, signer *provenance.Signer, path string) {
	t.Helper()
	signature, err := provenance.SignatureFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := signer.SignModel(t.Context(), path, signature); err != nil {
		t.Fatal(err)
	}
}

// Where signatures are needed, nothing is served that the key has not signed, and what cannot be
// verified leaves the old one serving.
func TestOnlySignedModelsAreServed(t *testing.T) {
	dir, signer, stranger := t.TempDir(), newSigner(t), newSigner(t)
	at := func(parts ...string) string { return filepath.Join(append([]string{dir}, parts...)...) }
	for _, name := range []string{"signed", "unsigned", "foreign"} {
		copyFile(t, modelFile("small"), at(name+".onnx"))
	}
	sign(t, signer, at("signed.onnx"))
	sign(t, stranger, at("foreign.onnx"))
	s := start(t, serve.Config{Models: []string{dir}, Poll: poll, RequireSignature: signer.Verifier()})
	s.serves(t, "foreign/1 UNAVAILABLE … another key", "signed/1 READY",
		"unsigned/1 UNAVAILABLE … it is not signed")
	values := noise(1, 1, 784)
	old := s.ask1(t, "signed", values)

	// A version whose signature is of other bytes is told, and the old one stays.
	otherModel(t, at("signed.onnx"))
	s.serves(t, "foreign/1 UNAVAILABLE … another key", "signed/1 READY … not what was signed",
		"unsigned/1 UNAVAILABLE … it is not signed")
	if got := s.ask1(t, "signed", values); !slices.Equal(got, old) {
		t.Errorf("it answers %v, and before %v", got, old)
	}
	// Signatures that come later are a change: of the new version, and of the others.
	if err := os.Remove(at("foreign.onnx.sig")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"signed", "unsigned", "foreign"} {
		sign(t, signer, at(name+".onnx"))
	}
	s.serves(t, "foreign/1 READY", "signed/1 READY", "unsigned/1 READY")
	// The index knows of the new version before requests are handed to it.
	eventually(t, func() error {
		if got := s.ask1(t, "signed", values); slices.Equal(got, old) {
			return errors.New("the new version answers as the old one did")
		}
		return nil
	})
	// A folder's signature is of all files in it.
	if err := os.MkdirAll(at("digits", "2"), 0o755); err != nil {
		t.Fatal(err)
	}
	copyFile(t, modelFile("small"), at("digits", "2", "model.onnx"))
	s.serves(t, "digits/2 UNAVAILABLE … it is not signed", "foreign/1 READY", "signed/1 READY",
		"unsigned/1 READY")
	sign(t, signer, at("digits", "2"))
	s.serves(t, "digits/2 READY", "foreign/1 READY", "signed/1 READY", "unsigned/1 READY")
}

// A server that is to serve a model by name does not begin without its signature.
func TestAnUnsignedModelIsNotServed(t *testing.T) {
	signer := newSigner(t)
	_, err := serve.New(t.Context(), serve.Config{Models: []string{modelFile("small")},
		RequireSignature: signer.Verifier()})
	if err == nil || !strings.Contains(err.Error(), "it is not signed") {
		t.Errorf("%v", err)
	}
}
