package provenance_test

import (
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	attestation "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"slipway/provenance"
)

// signed is the bundle of a small file, and the statement in it.
func signed(t testing.TB, signer *provenance.Signer) (bundle []byte,
	statement *attestation.Statement) {
	t.Helper()
	manifest, err := provenance.Hash(t.Context(), write(t, filepath.Join(t.TempDir(), "mine.bin"),
		[]byte("a model")))
	if err != nil {
		t.Fatal(err)
	}
	if statement, err = manifest.Statement(); err != nil {
		t.Fatal(err)
	}
	if bundle, err = signer.Sign(statement); err != nil {
		t.Fatal(err)
	}
	return bundle, statement
}

// The envelope of a bundle, as a tree.
func envelope(tree map[string]any) map[string]any { return tree["dsseEnvelope"].(map[string]any) }

func material(tree map[string]any) map[string]any {
	return tree["verificationMaterial"].(map[string]any)
}

// Each bundle that is not exactly one signature of the key over an in-toto statement is refused,
// and says why.
func TestBundlesThatAreRefused(t *testing.T) {
	signer := newSigner(t)
	bundle, _ := signed(t, signer)
	other, _ := signed(t, newSigner(t))
	verifier := signer.Verifier()
	if _, err := verifier.Open(bundle); err != nil {
		t.Fatal(err)
	}
	signature := func(tree map[string]any) map[string]any {
		return envelope(tree)["signatures"].([]any)[0].(map[string]any)
	}
	for name, test := range map[string]struct {
		change func(tree map[string]any)
		says   string
	}{
		"another key's material": {func(tree map[string]any) {
			var from map[string]any
			if err := json.Unmarshal(other, &from); err != nil {
				t.Fatal(err)
			}
			tree["verificationMaterial"] = from["verificationMaterial"]
		}, "another key"},
		"another key's signature under this key's name": {func(tree map[string]any) {
			var from map[string]any
			if err := json.Unmarshal(other, &from); err != nil {
				t.Fatal(err)
			}
			tree["dsseEnvelope"] = from["dsseEnvelope"]
		}, "not that of the key"},
		"no signature": {func(tree map[string]any) { envelope(tree)["signatures"] = []any{} },
			"0 signatures"},
		"two signatures": {func(tree map[string]any) {
			envelope(tree)["signatures"] = []any{signature(tree), signature(tree)}
		}, "2 signatures"},
		"an empty signature": {func(tree map[string]any) { signature(tree)["sig"] = "" },
			"not that of the key"},
		"another payload": {func(tree map[string]any) {
			envelope(tree)["payload"] = base64.StdEncoding.EncodeToString([]byte("{}"))
		}, "not that of the key"},
		"another type of payload": {func(tree map[string]any) {
			envelope(tree)["payloadType"] = "application/json"
		}, "of the type"},
		"another media type": {func(tree map[string]any) {
			tree["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1"
		}, "of the media type"},
		"no envelope": {func(tree map[string]any) { delete(tree, "dsseEnvelope") }, "no DSSE envelope"},
		"a plain signature": {func(tree map[string]any) {
			delete(tree, "dsseEnvelope")
			tree["messageSignature"] = map[string]any{"signature": "AAAA"}
		}, "no DSSE envelope"},
		"no material": {func(tree map[string]any) { delete(tree, "verificationMaterial") },
			"which key"},
		"no fingerprint": {func(tree map[string]any) {
			material(tree)["publicKey"] = map[string]any{}
		}, "another key"},
		"a certificate": {func(tree map[string]any) {
			delete(material(tree), "publicKey")
			material(tree)["certificate"] = map[string]any{"rawBytes": "AAAA"}
		}, "sigstore's service"},
		"a chain of certificates": {func(tree map[string]any) {
			delete(material(tree), "publicKey")
			material(tree)["x509CertificateChain"] = map[string]any{}
		}, "signed by a certificate"},
		"a log's entry": {func(tree map[string]any) {
			material(tree)["tlogEntries"] = []any{map[string]any{"logIndex": "1"}}
		}, "transparency log"},
		"an unknown field": {func(tree map[string]any) { tree["more"] = true }, "unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := verifier.Open(edit(t, bundle, test.change))
			refused(t, err, test.says)
		})
	}
	for name, test := range map[string]struct{ text, says string }{
		"nothing":       {"", "no sigstore bundle"},
		"a list":        {"[]", "no sigstore bundle"},
		"half of it":    {string(bundle[:len(bundle)/2]), "no sigstore bundle"},
		"twice":         {string(bundle) + string(bundle), "no sigstore bundle"},
		"a field twice": {`{"mediaType":"x",` + string(bundle[1:]), "duplicate field"},
		"very deep":     {strings.Repeat(`{"verificationMaterial":`, 1000), "no sigstore bundle"},
		"very long":     {strings.Repeat(" ", provenance.MaxBundle) + string(bundle), "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := verifier.Open([]byte(test.text))
			refused(t, err, test.says)
		})
	}
	t.Run("each bit of the signature", func(t *testing.T) {
		for i := range 64 * 8 {
			_, err := verifier.Open(edit(t, bundle, func(tree map[string]any) {
				raw, err := base64.StdEncoding.DecodeString(signature(tree)["sig"].(string))
				if err != nil {
					t.Fatal(err)
				}
				raw[i/8] ^= 1 << (i % 8)
				signature(tree)["sig"] = base64.StdEncoding.EncodeToString(raw)
			}))
			refused(t, err, "not that of the key")
		}
	})
}

// What is signed properly is read only as what it says that it is.
func TestStatementsThatAreRefused(t *testing.T) {
	signer := newSigner(t)
	_, sound := signed(t, signer)
	predicate := func(tree map[string]any) map[string]any { return tree["predicate"].(map[string]any) }
	serialization := func(tree map[string]any) map[string]any {
		return predicate(tree)["serialization"].(map[string]any)
	}
	resource := func(tree map[string]any) map[string]any {
		return predicate(tree)["resources"].([]any)[0].(map[string]any)
	}
	subject := func(tree map[string]any) map[string]any {
		return tree["subject"].([]any)[0].(map[string]any)
	}
	named := func(name string) func(tree map[string]any) {
		return func(tree map[string]any) { resource(tree)["name"] = name }
	}
	sum := strings.Repeat("ab", 32)
	for name, test := range map[string]struct {
		change func(tree map[string]any)
		says   string
	}{
		"another predicate": {func(tree map[string]any) {
			tree["predicateType"] = "https://model_signing/Digests/v0.1"
		}, "no model"},
		"another statement": {func(tree map[string]any) {
			tree["_type"] = "https://in-toto.io/Statement/v0.1"
		}, "of the type"},
		"no subject": {func(tree map[string]any) { tree["subject"] = []any{} }, "subject"},
		"two subjects": {func(tree map[string]any) {
			tree["subject"] = []any{subject(tree), subject(tree)}
		}, "2 models"},
		"no file": {func(tree map[string]any) { predicate(tree)["resources"] = []any{} },
			"no file"},
		"no resources": {func(tree map[string]any) { delete(predicate(tree), "resources") }, "no file"},
		"parts of files": {func(tree map[string]any) { serialization(tree)["method"] = "shards" },
			`"shards"`},
		"SHA-1 for all": {func(tree map[string]any) { serialization(tree)["hash_type"] = "sha1" },
			`"sha1"`},
		"MD5 for a file": {func(tree map[string]any) { resource(tree)["algorithm"] = "md5" }, `"md5"`},
		"BLAKE3": {func(tree map[string]any) {
			serialization(tree)["hash_type"], resource(tree)["algorithm"] = "blake3", "blake3"
		}, `"blake3"`},
		"a short digest": {func(tree map[string]any) { resource(tree)["digest"] = "abcd" },
			"4 digits"},
		"no digest": {func(tree map[string]any) { delete(resource(tree), "digest") },
			"0 digits"},
		"no hexadecimal": {func(tree map[string]any) { resource(tree)["digest"] = sum[2:] + "xy" },
			"hexadecimal"},
		"a digest of another": {func(tree map[string]any) { resource(tree)["digest"] = sum },
			"agree with itself"},
		"another root": {func(tree map[string]any) {
			subject(tree)["digest"] = map[string]any{"sha256": sum}
		}, "agree with itself"},
		"a root in SHA-1": {func(tree map[string]any) {
			subject(tree)["digest"] = map[string]any{"sha1": sum[:40]}
		}, "SHA-256"},
		"a file twice": {func(tree map[string]any) {
			predicate(tree)["resources"] = []any{resource(tree), resource(tree)}
		}, "twice"},
		"a folder's files and itself": {func(tree map[string]any) {
			more := map[string]any{"name": "a", "algorithm": "sha256", "digest": sum}
			predicate(tree)["resources"] = []any{resource(tree), more}
		}, "the folder as a file"},
		"up":               {named("../mine.onnx"), "no name"},
		"up within":        {named("a/../../b"), "no name"},
		"absolute":         {named("/etc/passwd"), "no name"},
		"absolute, of DOS": {named(`C:\x`), "no name"},
		"back strokes":     {named(`..\x`), "no name"},
		"no name":          {named(""), "no name"},
		"a second name":    {named("./a"), "no name"},
		"a zero":           {named("a\x00"), "no name"},
		"leaves all out": {func(tree map[string]any) {
			serialization(tree)["ignore_paths"] = []any{"."}
		}, "whole model"},
		"leaves out above": {func(tree map[string]any) {
			serialization(tree)["ignore_paths"] = []any{"../x"}
		}, "no name"},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := protojson.Marshal(sound)
			if err != nil {
				t.Fatal(err)
			}
			changed := new(attestation.Statement)
			if err := protojson.Unmarshal(edit(t, text, test.change), changed); err != nil {
				t.Fatal(err)
			}
			bundle, err := signer.Sign(changed)
			if err != nil {
				t.Fatal(err)
			}
			statement, err := signer.Verifier().Open(bundle)
			if err == nil {
				_, err = provenance.ManifestOf(statement)
			}
			refused(t, err, test.says)
		})
	}
}

// Whatever bytes come, the reader neither panics nor takes for signed what was not.
func FuzzOpen(f *testing.F) {
	signer := newSigner(f)
	bundle, sound := signed(f, signer)
	f.Add(bundle)
	f.Add(bundle[:len(bundle)/2])
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",` +
		`"verificationMaterial":{"x509CertificateChain":{"certificates":[{"rawBytes":"MIIB"}]}},` +
		`"dsseEnvelope":{"payload":"e30=",` +
		`"payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"AAAA","keyid":"x"}]}}`))
	verifier := signer.Verifier()
	f.Fuzz(func(t *testing.T, text []byte) {
		statement, err := verifier.Open(text)
		if err == nil && !proto.Equal(statement, sound) {
			t.Errorf("this was never signed: %v", statement)
		}
	})
}

// Whatever a statement says, reading its manifest neither panics nor lets a name lead out of a
// folder.
func FuzzManifest(f *testing.F) {
	_, sound := signed(f, newSigner(f))
	text, err := protojson.Marshal(sound)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"predicateType":"https://model_signing/signature/v1.0","subject":[{}],` +
		`"predicate":{}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		statement := new(attestation.Statement)
		if protojson.Unmarshal(text, statement) != nil {
			t.Skip()
		}
		manifest, err := provenance.ManifestOf(statement)
		if err != nil {
			return
		}
		for _, file := range manifest.Files {
			if !filepath.IsLocal(file.Name) || strings.Contains(file.Name, "..") &&
				strings.Contains("/"+file.Name+"/", "/../") {
				t.Errorf("the name %q leads out", file.Name)
			}
		}
		again, err := manifest.Statement()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := provenance.ManifestOf(again); err != nil {
			t.Errorf("what was read is not written so that it is read: %v", err)
		}
	})
}
