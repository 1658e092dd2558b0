package provenance_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"slipway/provenance"
)

// A new key is its owner's alone, both files fit together, and nothing is ever written over.
func TestNewKey(t *testing.T) {
	dir := t.TempDir()
	path, public := filepath.Join(dir, "key.pem"), filepath.Join(dir, "key.pub")
	if err := provenance.NewKey(path); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
		t.Errorf("the private key's mode: %v, %v", info.Mode(), err)
	}
	signer, err := provenance.ReadSigner(path)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := provenance.ReadVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	if own := signer.Verifier().Fingerprint(); len(own) != 64 || own != verifier.Fingerprint() {
		t.Errorf("the fingerprints are %s and %s", own, verifier.Fingerprint())
	}
	before, beforePublic := read(t, path), read(t, public)
	refused(t, provenance.NewKey(path), "key.pub is there already")
	if err := os.Remove(public); err != nil {
		t.Fatal(err)
	}
	refused(t, provenance.NewKey(path), "key.pem is there already")
	if string(read(t, path)) != string(before) {
		t.Error("the private key was written over")
	}
	if _, err := os.Stat(public); err == nil {
		t.Error("a public key is left that has no private one")
	}
	write(t, public, beforePublic)
	refused(t, provenance.NewKey(filepath.Join(dir, "other.pub")), "is the public key's")
	refused(t, provenance.NewKey(filepath.Join(dir, "nowhere", "key.pem")), "no such file")
}

// Keys that are no ECDSA keys on P-256 are told by what they are.
func TestKeysThatAreRefused(t *testing.T) {
	p256 := ecKey(t, elliptic.P256())
	sec1, err := x509.MarshalECPrivateKey(p256)
	for name, test := range map[string]struct {
		path  string
		words []string
	}{
		"another curve": {privatePEM(t, ecKey(t, elliptic.P384())), []string{"P-384", "P-256"}},
		"no ECDSA":      {privatePEM(t, edKey(t)), []string{"ed25519", "P-256"}},
		"public":        {publicPEM(t, p256.Public()), []string{"a public key", "private"}},
		"encrypted":     {writePEM(t, "ENCRYPTED PRIVATE KEY", []byte("x"), nil), []string{"encrypted"}},
		"damaged":       {writePEM(t, "PRIVATE KEY", []byte("x"), nil), []string{"cannot be read"}},
		"something":     {writePEM(t, "SSH KEY", []byte("x"), nil), []string{`"SSH KEY"`}},
		"no PEM":        {write(t, filepath.Join(t.TempDir(), "k"), []byte("x")), []string{"no key"}},
		"a folder":      {t.TempDir(), []string{"a folder"}},
		"nothing":       {filepath.Join(t.TempDir(), "k"), []string{"no such file"}},
		"too long": {write(t, filepath.Join(t.TempDir(), "k"), make([]byte, 1<<20+1)),
			[]string{"longer than"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := provenance.ReadSigner(test.path)
			refused(t, err, test.words...)
		})
	}
	for name, test := range map[string]struct {
		path  string
		words []string
	}{
		"another curve": {publicPEM(t, ecKey(t, elliptic.P521()).Public()), []string{"P-521", "P-256"}},
		"no ECDSA":      {publicPEM(t, edKey(t).Public()), []string{"ed25519"}},
		"private":       {privatePEM(t, p256), []string{"a private key"}},
		"damaged":       {writePEM(t, "PUBLIC KEY", []byte("x"), nil), []string{"cannot be read"}},
		"a certificate": {writePEM(t, "CERTIFICATE", []byte("x"), nil), []string{`"CERTIFICATE"`}},
	} {
		t.Run("verify by "+name, func(t *testing.T) {
			_, err := provenance.ReadVerifier(test.path)
			refused(t, err, test.words...)
		})
	}

	// What openssl ecparam -genkey writes: the curve's parameters, then the key in SEC1.
	block := append(pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 0}}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})...)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := provenance.ReadSigner(write(t, filepath.Join(t.TempDir(), "k"), block))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := provenance.ReadVerifier(publicPEM(t, p256.Public()))
	if err != nil {
		t.Fatal(err)
	}
	if signer.Verifier().Fingerprint() != verifier.Fingerprint() {
		t.Error("a key in SEC1 is another one")
	}
}
