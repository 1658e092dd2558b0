package provenance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"slipway/internal/atomicfile"
)

// publicExtension is that of the public key's file.
const publicExtension = ".pub"

// PublicKeyFile is where NewKey writes the public key to the private key in a file: key.pub for
// key.pem.
func PublicKeyFile(path string) string {
	return strings.TrimSuffix(path, filepath.Ext(path)) + publicExtension
}

// NewKey makes an ECDSA key on the curve P-256 and writes it in PEM: the private key, PKCS#8, to
// the file at path, which only its owner may read, and the public key to PublicKeyFile. A file
// that is there is never written over; on an error neither is left.
func NewKey(path string) error {
	public := PublicKeyFile(path)
	if public == path {
		return fmt.Errorf("%s: a name that ends in %s is the public key's; name the private key "+
			"otherwise, such as key.pem", path, publicExtension)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	publicText, err := publicPEM(&key.PublicKey)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	// The public key first: where it cannot be written, no private key has been on the disk.
	if err := writeNew(public, publicText, 0o644); err != nil {
		return err
	}
	privateText := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
	if err := writeNew(path, privateText, 0o600); err != nil {
		return errors.Join(err, os.Remove(public))
	}
	return nil
}

// writeNew writes a file that is not there yet, and leaves none on an error.
func writeNew(path string, text []byte, mode fs.FileMode) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already, and a key is never written over: name another file", path)
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(path))
}
