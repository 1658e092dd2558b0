package provenance_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"slipway/provenance"
)

// A model is signed once, and read only if it is what was signed.
func Example() {
	dir, err := os.MkdirTemp("", "provenance")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	content, err := os.ReadFile("../graphs/e1.onnx")
	if err != nil {
		log.Fatal(err)
	}
	path, key := filepath.Join(dir, "mine.onnx"), filepath.Join(dir, "key.pem")
	if err := os.WriteFile(path, content, 0o644); err != nil {
		log.Fatal(err)
	}

	if err := provenance.NewKey(key); err != nil { // key.pem, and key.pub for others
		log.Fatal(err)
	}
	signer, err := provenance.ReadSigner(key)
	if err != nil {
		log.Fatal(err)
	}
	if err := signer.SignModel(context.Background(), path, path+".sig"); err != nil {
		log.Fatal(err)
	}

	verifier, err := provenance.ReadVerifier(provenance.PublicKeyFile(key))
	if err != nil {
		log.Fatal(err)
	}
	model, err := verifier.ReadModel(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("verified:", model.GraphName())

	content[len(content)-1] ^= 1
	if err := os.WriteFile(path, content, 0o644); err != nil {
		log.Fatal(err)
	}
	if _, err := verifier.ReadModel(path); err != nil {
		fmt.Println("refused: it is not what was signed")
	}
	// Output:
	// verified: e1
	// refused: it is not what was signed
}
