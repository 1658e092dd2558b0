package provenance_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"path/filepath"
	"testing"
	"time"

	"slipway/provenance"
)

// An authority makes certificates.
type authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

// certify makes a certificate of a key, by itself where no authority is given.
func certify(t *testing.T, by *authority, key *ecdsa.PrivateKey, serial int64,
	change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "Slipway's tests"},
		// Long past: a certificate is judged as of its first day.
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:  time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:  x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	if change != nil {
		change(template)
	}
	parent, signing := template, key
	if by != nil {
		parent, signing = by.certificate, by.key
	}
	encoded, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signing)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func newAuthority(t *testing.T, by *authority, serial int64) *authority {
	a := &authority{key: ecKey(t, elliptic.P256())}
	a.certificate = certify(t, by, a.key, serial, func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign
		c.Subject.CommonName = "authority " + c.SerialNumber.String()
	})
	return a
}

func certificateFile(t *testing.T, certificates ...*x509.Certificate) string {
	var text []byte
	for _, certificate := range certificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
			Bytes: certificate.Raw})...)
	}
	return write(t, filepath.Join(t.TempDir(), "certificates.pem"), text)
}

// What was signed by a certificate verifies by the root that it leads to, and by nothing else.
func TestCertificates(t *testing.T) {
	root := newAuthority(t, nil, 1)
	between := newAuthority(t, root, 2)
	stranger := newAuthority(t, nil, 3)
	key := ecKey(t, elliptic.P256())
	own := certify(t, between, key, 4, func(c *x509.Certificate) {
		c.EmailAddresses = []string{"one@example.org"}
	})
	signer, err := provenance.ReadSigner(privatePEM(t, key))
	if err != nil {
		t.Fatal(err)
	}
	certified, err := signer.WithCertificates(certificateFile(t, own), certificateFile(t,
		between.certificate))
	if err != nil {
		t.Fatal(err)
	}
	verifierOf := func(a *authority) *provenance.Verifier {
		verifier, err := provenance.ReadCertificateVerifier(certificateFile(t, a.certificate))
		if err != nil {
			t.Fatal(err)
		}
		return verifier
	}
	bundle, _ := signed(t, certified)
	model := write(t, filepath.Join(t.TempDir(), "model.bin"), []byte("a model"))
	if err := certified.SignModel(t.Context(), model, model+".sig"); err != nil {
		t.Fatal(err)
	}
	manifest, err := verifierOf(root).VerifyModel(t.Context(), model, model+".sig")
	if want := "CN=Slipway's tests, one@example.org"; err != nil || manifest.SignedBy != want {
		t.Errorf("it was signed by %q, want %q: %v", manifest.SignedBy, want, err)
	}
	if _, err := verifierOf(root).Open(bundle); err != nil {
		t.Error(err)
	}
	_, err = verifierOf(stranger).Open(bundle)
	refused(t, err, "leads to none")
	_, err = signer.Verifier().Open(bundle)
	refused(t, err, "signed by a certificate")
	byKey, _ := signed(t, signer)
	_, err = verifierOf(root).Open(byKey)
	refused(t, err, "signed by a key alone")

	_, err = signer.WithCertificates(certificateFile(t, certify(t, between, ecKey(t,
		elliptic.P256()), 5,
		nil)))
	refused(t, err, "of another key")
	useless := certify(t, between, key, 6, func(c *x509.Certificate) {
		c.KeyUsage = x509.KeyUsageKeyEncipherment
	})
	_, err = signer.WithCertificates(certificateFile(t, useless))
	refused(t, err, "not for signing")
	server := certify(t, between, key, 7, func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	_, err = signer.WithCertificates(certificateFile(t, server))
	refused(t, err, "for another use")
	_, err = signer.WithCertificates(publicPEM(t, key.Public()))
	refused(t, err, "certificates alone")
	_, err = provenance.ReadCertificateVerifier(publicPEM(t, key.Public()))
	refused(t, err, "certificates alone")
	// Without the one between, nothing leads to the root.
	alone, err := signer.WithCertificates(certificateFile(t, own))
	if err != nil {
		t.Fatal(err)
	}
	bundle, _ = signed(t, alone)
	_, err = verifierOf(root).Open(bundle)
	refused(t, err, "leads to none")
	// Another's certificate beside one's own signature.
	bundle, _ = signed(t, certified)
	foreign := certify(t, between, ecKey(t, elliptic.P256()), 7, nil)
	bundle = edit(t, bundle, func(tree map[string]any) {
		material(tree)["x509CertificateChain"].(map[string]any)["certificates"].([]any)[0] =
			map[string]any{"rawBytes": foreign.Raw}
	})
	_, err = verifierOf(root).Open(bundle)
	refused(t, err, "not that of the key")
	bundle = edit(t, bundle, func(tree map[string]any) {
		material(tree)["x509CertificateChain"].(map[string]any)["certificates"] = make([]any, 0)
	})
	_, err = verifierOf(root).Open(bundle)
	refused(t, err, "0 certificates")
}
