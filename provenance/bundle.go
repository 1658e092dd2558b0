package provenance

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	attestation "github.com/in-toto/attestation/go/v1"
	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	"google.golang.org/protobuf/encoding/protojson"
)

// MaxBundle is the most bytes of a bundle: some 60,000 files of a model.
const MaxBundle = 16 << 20

const (
	// mediaType is that of sigstore bundles of version 0.3.
	mediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"
	// payloadType is that of in-toto statements in a DSSE envelope.
	payloadType = "application/vnd.in-toto+json"
	// maxNesting is how deep the JSON of a bundle or of a statement is nested at most.
	maxNesting = 32
)

// Sign signs a statement and returns a bundle with both, in JSON. The same statement and key make
// the same bytes.
func (s *Signer) Sign(statement *attestation.Statement) ([]byte, error) {
	payload, err := compact(protojson.Marshal(statement))
	if err != nil {
		return nil, fmt.Errorf("the statement: %w", err)
	}
	material, err := s.material()
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(preAuthentication(payload))
	// Without a source of randomness the signature is deterministic: RFC 6979.
	signature, err := s.key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	bundle, err := compact(protojson.Marshal(&bundlepb.Bundle{
		MediaType:            mediaType,
		VerificationMaterial: material,
		Content: &bundlepb.Bundle_DsseEnvelope{DsseEnvelope: &dsse.Envelope{
			Payload: payload, PayloadType: payloadType,
			Signatures: []*dsse.Signature{{Sig: signature}},
		}},
	}))
	if err != nil {
		return nil, fmt.Errorf("the bundle: %w", err)
	}
	if len(bundle) >= MaxBundle { // a file of it ends in a line end
		return nil,
			fmt.Errorf("the signature is %d bytes long, and %d is the most that is read: sign fewer "+
				"files, such as the model's own folder", len(bundle), MaxBundle)
	}
	return bundle, nil
}

// compact takes the blanks out of JSON: protojson puts in some by chance.
func compact(text []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	var compacted bytes.Buffer
	if err := json.Compact(&compacted, text); err != nil {
		return nil, err
	}
	return compacted.Bytes(), nil
}

// material tells who signs: the key by its digest, or the certificates.
func (s *Signer) material() (*bundlepb.VerificationMaterial, error) {
	if s.certificates != nil {
		chain := &commonpb.X509CertificateChain{}
		for _, certificate := range s.certificates {
			chain.Certificates = append(chain.Certificates,
				&commonpb.X509Certificate{RawBytes: certificate.Raw})
		}
		content := &bundlepb.VerificationMaterial_X509CertificateChain{X509CertificateChain: chain}
		return &bundlepb.VerificationMaterial{Content: content}, nil
	}
	hint, err := fingerprint(&s.key.PublicKey)
	if err != nil {
		return nil, err
	}
	return &bundlepb.VerificationMaterial{Content: &bundlepb.VerificationMaterial_PublicKey{
		PublicKey: &commonpb.PublicKeyIdentifier{Hint: hint}}}, nil
}

// preAuthentication is what is signed of a payload: DSSE's pre-authentication encoding, version 1
// (https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md).
func preAuthentication(payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
}

// Open returns the statement of a bundle, if the signer that the verifier knows has signed it. Its
// error says what is wrong, and names no file.
func (v *Verifier) Open(bundle []byte) (*attestation.Statement, error) {
	statement, _, err := v.open(bundle)
	return statement, err
}

// open is Open, and says whose certificate it was.
func (v *Verifier) open(bundle []byte) (_ *attestation.Statement, by string, _ error) {
	if len(bundle) > MaxBundle {
		return nil, "", fmt.Errorf("the signature is longer than %d bytes", MaxBundle)
	}
	message := new(bundlepb.Bundle)
	strict := protojson.UnmarshalOptions{RecursionLimit: maxNesting}
	if err := strict.Unmarshal(bundle, message); err != nil {
		return nil, "", fmt.Errorf("it is no sigstore bundle: %w", plain(err))
	}
	if message.GetMediaType() != mediaType {
		return nil, "", fmt.Errorf("it is a bundle of the media type %.80q; %s is read",
			message.GetMediaType(),
			mediaType)
	}
	envelope := message.GetDsseEnvelope()
	switch signatures := len(envelope.GetSignatures()); {
	case envelope == nil:
		return nil, "", errors.New("it holds no DSSE envelope, so that nobody knows what was signed")
	case envelope.GetPayloadType() != payloadType:
		return nil, "", fmt.Errorf("its payload is of the type %.80q; %s is read",
			envelope.GetPayloadType(), payloadType)
	case signatures != 1:
		return nil, "", fmt.Errorf("it holds %d signatures; exactly one is read", signatures)
	}
	key, by, err := v.signerOf(message.GetVerificationMaterial())
	if err != nil {
		return nil, "", err
	}
	digest := sha256.Sum256(preAuthentication(envelope.GetPayload()))
	if !ecdsa.VerifyASN1(key, digest[:], envelope.GetSignatures()[0].GetSig()) {
		return nil, "",
			errors.New("the signature is not that of the key over these bytes: it was changed, or " +
				"signed by somebody else")
	}
	statement := new(attestation.Statement)
	// in-toto's rules of parsing have readers pass over fields that they do not know.
	lenient := protojson.UnmarshalOptions{RecursionLimit: maxNesting, DiscardUnknown: true}
	if err := lenient.Unmarshal(envelope.GetPayload(), statement); err != nil {
		return nil, "", fmt.Errorf("what was signed is no in-toto statement: %w", plain(err))
	}
	if statement.GetType() != attestation.StatementTypeUri {
		return nil, "", fmt.Errorf("what was signed is a statement of the type %.80q; %s is read",
			statement.GetType(), attestation.StatementTypeUri)
	}
	if err := statement.Validate(); err != nil {
		return nil, "", fmt.Errorf("what was signed is no sound in-toto statement: %w", err)
	}
	return statement, by, nil
}

// isBundle reports whether a text says that it is a sigstore bundle.
func isBundle(text []byte) bool {
	var bundle struct{ MediaType string }
	return json.Unmarshal(text, &bundle) == nil &&
		strings.HasPrefix(bundle.MediaType, "application/vnd.dev.sigstore.bundle")
}

// signerOf returns the key that the verification material names, which must be the verifier's, or
// one that its certificates vouch for.
func (v *Verifier) signerOf(material *bundlepb.VerificationMaterial) (_ *ecdsa.PublicKey, by string,
	_ error) {
	if n := len(material.GetTlogEntries()); n > 0 ||
		len(material.GetTimestampVerificationData().GetRfc3161Timestamps()) > 0 {
		return nil, "",
			errors.New("it has entries of a transparency log or time stamps, which are not verified " +
				"here: have it signed by a key")
	}
	switch content := material.GetContent().(type) {
	case *bundlepb.VerificationMaterial_PublicKey:
		if v.key == nil {
			return nil, "",
				errors.New("it was signed by a key alone; verify it by that key, not by certificates")
		}
		own, err := fingerprint(v.key)
		if err != nil {
			return nil, "", err
		}
		if hint := content.PublicKey.GetHint(); hint != own {
			return nil, "",
				fmt.Errorf("it was signed by another key: by the one with the fingerprint %.64q, and "+
					"%s is the one that is asked for", hint, own)
		}
		return v.key, "", nil
	case *bundlepb.VerificationMaterial_X509CertificateChain:
		if v.roots == nil {
			return nil, "", errors.New(
				"it was signed by a certificate; verify it by certificates, not by a key")
		}
		return v.certified(content.X509CertificateChain)
	case *bundlepb.VerificationMaterial_Certificate:
		return nil, "",
			errors.New("it was signed by a certificate of sigstore's service, which is not verified " +
				"here: have it signed by a key")
	}
	return nil, "", errors.New("it does not say which key signed it")
}

// plain is an error of protojson without the blank that it varies by chance.
func plain(err error) error {
	text := bytes.ReplaceAll([]byte(err.Error()), []byte("\u00a0"), []byte(" "))
	return errors.New(string(bytes.TrimPrefix(text, []byte("proto: "))))
}
