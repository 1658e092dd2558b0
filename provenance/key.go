package provenance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// A Signer signs with a private key. It is made by ReadSigner.
type Signer struct {
	key *ecdsa.PrivateKey
	// certificates are the signing certificate and those above it, nil for a key alone.
	certificates []*x509.Certificate
}

// A Verifier tells what a certain signer has signed. It is made by ReadVerifier or by
// ReadCertificateVerifier.
type Verifier struct {
	// key is the signer's, nil where certificates tell it.
	key   *ecdsa.PublicKey
	roots *x509.CertPool
}

// maxKeyFile is the most bytes of a file with a key or with certificates.
const maxKeyFile = 1 << 20

// ReadSigner reads an ECDSA private key on the curve P-256 from a PEM file, in PKCS#8 ("PRIVATE
// KEY") or SEC1 ("EC PRIVATE KEY"), not encrypted.
func ReadSigner(path string) (*Signer, error) {
	block, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	var key any
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		if block.Headers["DEK-Info"] != "" {
			return nil, encrypted(path)
		}
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, encrypted(path)
	case "PUBLIC KEY", "CERTIFICATE":
		return nil, fmt.Errorf("%s holds a %s; signing takes the private key", path,
			strings.ToLower(block.Type))
	default:
		return nil, fmt.Errorf("%s holds a %q; signing takes a PEM file with a PRIVATE KEY", path,
			block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: the private key cannot be read: %w", path, err)
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: %w", path, wrongKind(key))
	}
	if err := checkCurve(&private.PublicKey); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &Signer{key: private}, nil
}

func encrypted(path string) error {
	return fmt.Errorf("%s: the private key is encrypted, and no password is asked for: decrypt it "+
		"for the signing alone, with openssl pkey", path)
}

// ReadVerifier reads an ECDSA public key on the curve P-256 from a PEM file ("PUBLIC KEY"). What
// its owner signed is verified by it.
func ReadVerifier(path string) (*Verifier, error) {
	block, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	switch block.Type {
	case "PUBLIC KEY":
	case "PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
		return nil, fmt.Errorf("%s holds a private key, which nobody but the signer should have; "+
			"verifying takes the public key", path)
	default:
		return nil, fmt.Errorf("%s holds a %q; verifying takes a PEM file with a PUBLIC KEY", path,
			block.Type)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: the public key cannot be read: %w", path, err)
	}
	public, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%s: %w", path, wrongKind(key))
	}
	if err := checkCurve(public); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &Verifier{key: public}, nil
}

// Verifier verifies what the signer signs by its key.
func (s *Signer) Verifier() *Verifier { return &Verifier{key: &s.key.PublicKey} }

// Fingerprint is the SHA-256 of the public key in PEM, in hexadecimal, which is what a signature
// names its key by; "" for a verifier by certificates.
func (v *Verifier) Fingerprint() string {
	if v.key == nil {
		return ""
	}
	text, err := fingerprint(v.key)
	if err != nil {
		return "" // a key on P-256, as all are here, has one
	}
	return text
}

func fingerprint(key *ecdsa.PublicKey) (string, error) {
	text, err := publicPEM(key)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

func publicPEM(key *ecdsa.PublicKey) ([]byte, error) {
	encoded, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("the public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: encoded}), nil
}

func wrongKind(key any) error {
	return fmt.Errorf("it is a key of the kind %s; an ECDSA key on the curve P-256 is needed",
		strings.TrimPrefix(fmt.Sprintf("%T", key), "*"))
}

func checkCurve(key *ecdsa.PublicKey) error {
	if key.Curve != elliptic.P256() {
		return fmt.Errorf("the key is on the curve %s; one on P-256 is needed", key.Curve.Params().Name)
	}
	return nil
}

// readPEM reads the one key or certificate of a PEM file. The parameters of its curve, which
// openssl writes before a key, are passed over: the key names the curve again.
func readPEM(path string) (*pem.Block, error) {
	blocks, err := readPEMs(path)
	if err != nil {
		return nil, err
	}
	if len(blocks) > 1 {
		return nil, fmt.Errorf("%s holds %d keys or certificates; one is needed", path, len(blocks))
	}
	return blocks[0], nil
}

func readPEMs(path string) ([]*pem.Block, error) {
	text, err := readFile(path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	var blocks []*pem.Block
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "EC PARAMETERS" {
			blocks = append(blocks, block)
		}
	}
	if len(blocks) == 0 {
		return nil, fmt.Errorf("%s: %w", path, errors.New("it holds no key or certificate in PEM"))
	}
	return blocks, nil
}
