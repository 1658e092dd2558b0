// Package provenance says where a model comes from, and holds it to that: models are signed and
// verified in the format of OpenSSF's model signing, and what was tested of them is attested.
//
//	signer, err := provenance.ReadSigner("key.pem")
//	err = signer.SignModel(ctx, "mine.onnx", "mine.onnx.sig")
//
//	verifier, err := provenance.ReadVerifier("key.pub")
//	model, err := verifier.ReadModel("mine.onnx") // an error, unless its very bytes were signed
//
// # The format
//
// A signature is a file of its own: a sigstore bundle, version 0.3, in JSON. The bundle holds a
// DSSE envelope, the envelope an in-toto statement, version 1, and the statement a predicate of
// the type https://model_signing/signature/v1.0: the name and the SHA-256 of each file of the
// model. The Python package model-signing verifies what this package signs by a key or by
// certificates, and the other way round.
//
// A model is a file, or a folder with all that lies in it. The manifest of a single file has "."
// for its name, as the Python package writes it. The name of the model itself is in the statement,
// and nothing follows from it: a file may be renamed. So a signature does not tell an old version
// from a new one, nor one model of the same signer from another.
//
// # What is refused
//
// Keys are ECDSA keys on the curve P-256; signatures are over SHA-256 and deterministic (RFC
// 6979), so that the same model and key make the same bytes. Only SHA-256 over whole files is
// read: a manifest with other digests, or with digests of parts of files, is refused, and so are
// names that lead out of the model, files beside the manifest, missing files, symbolic links,
// envelopes without exactly one signature, and bundles above MaxBundle. What a transparency log
// says is not verified, and a bundle with its entries is refused, not half believed.
package provenance
