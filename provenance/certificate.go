package provenance

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
)

// maxCertificates is the most certificates of a bundle.
const maxCertificates = 16

// WithCertificates returns a signer that signs with the same key and names it by certificates: the
// first certificate of the PEM file is the key's own, and those above it follow, in this file and
// in the others. Roots need not be among them: who verifies has them.
func (s *Signer) WithCertificates(path string, above ...string) (*Signer, error) {
	var certificates []*x509.Certificate
	for _, file := range append([]string{path}, above...) {
		more, err := readCertificates(file)
		if err != nil {
			return nil, err
		}
		certificates = append(certificates, more...)
	}
	if !s.key.PublicKey.Equal(certificates[0].PublicKey) {
		return nil, fmt.Errorf("%s: the certificate is of another key than the one that signs", path)
	}
	if err := mayCertify(certificates[0]); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(certificates) > maxCertificates {
		return nil, fmt.Errorf("%d certificates are named; %d is the most", len(certificates),
			maxCertificates)
	}
	return &Signer{key: s.key, certificates: certificates}, nil
}

// ReadCertificateVerifier reads root certificates from PEM files. What was signed by a certificate
// that leads to one of them is verified. As in the Python package, the certificate is judged as of
// its first day: a signature has no time of its own that could be trusted.
func ReadCertificateVerifier(path string, more ...string) (*Verifier, error) {
	roots := x509.NewCertPool()
	for _, file := range append([]string{path}, more...) {
		certificates, err := readCertificates(file)
		if err != nil {
			return nil, err
		}
		for _, certificate := range certificates {
			roots.AddCert(certificate)
		}
	}
	return &Verifier{roots: roots}, nil
}

func readCertificates(path string) ([]*x509.Certificate, error) {
	blocks, err := readPEMs(path)
	if err != nil {
		return nil, err
	}
	certificates := make([]*x509.Certificate, len(blocks))
	for i, block := range blocks {
		if certificates[i], err = parseCertificate(block); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return certificates, nil
}

func parseCertificate(block *pem.Block) (*x509.Certificate, error) {
	if block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("it holds a %q; certificates alone are needed", block.Type)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("a certificate cannot be read: %w", err)
	}
	return certificate, nil
}

// certified returns the key of a chain's first certificate and whose it is, if the chain leads to a
// root.
func (v *Verifier) certified(chain *commonpb.X509CertificateChain) (_ *ecdsa.PublicKey, by string,
	_ error) {
	if n := len(chain.GetCertificates()); n == 0 || n > maxCertificates {
		return nil, "", fmt.Errorf("it holds %d certificates; 1 to %d are read", n, maxCertificates)
	}
	above := x509.NewCertPool()
	var own *x509.Certificate
	for i, encoded := range chain.GetCertificates() {
		certificate, err := x509.ParseCertificate(encoded.GetRawBytes())
		if err != nil {
			return nil, "", fmt.Errorf("certificate %d cannot be read: %w", i+1, err)
		}
		if i == 0 {
			own = certificate
		} else {
			above.AddCert(certificate)
		}
	}
	if _, err := own.Verify(x509.VerifyOptions{
		Roots: v.roots, Intermediates: above, CurrentTime: own.NotBefore,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}); err != nil {
		return nil, "", fmt.Errorf("its certificate leads to none of the given ones: %w", err)
	}
	if err := mayCertify(own); err != nil {
		return nil, "", err
	}
	key, ok := own.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return nil, "", wrongKind(own.PublicKey)
	}
	return key, subjectOf(own), checkCurve(key)
}

// subjectOf says whose a certificate is.
func subjectOf(certificate *x509.Certificate) string {
	names := slices.Clone(certificate.EmailAddresses)
	for _, uri := range certificate.URIs {
		names = append(names, uri.String())
	}
	if subject := certificate.Subject.String(); subject != "" {
		names = slices.Insert(names, 0, subject)
	}
	if len(names) == 0 {
		return "serial number " + certificate.SerialNumber.String()
	}
	return strings.Join(names, ", ")
}

// mayCertify refuses a certificate whose key is not for signatures.
func mayCertify(certificate *x509.Certificate) error {
	signs := slices.Contains(certificate.ExtKeyUsage, x509.ExtKeyUsageCodeSigning)
	if len(certificate.ExtKeyUsage)+len(certificate.UnknownExtKeyUsage) > 0 && !signs &&
		!slices.Contains(certificate.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return errors.New("the certificate is for another use, such as a server's: codeSigning is not " +
			"among its extended usages")
	}
	if certificate.KeyUsage&x509.KeyUsageDigitalSignature == 0 && !signs {
		return errors.New("the certificate is not for signing: neither digitalSignature nor " +
			"codeSigning is among its usages")
	}
	return nil
}
