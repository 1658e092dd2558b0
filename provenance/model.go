package provenance

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	pathpackage "path"
	"path/filepath"
	"slices"
	"strings"

	attestation "github.com/in-toto/attestation/go/v1"
	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"slipway/internal/atomicfile"
	"slipway/onnx"
)

const (
	// signatureExtension is that of the signature beside a file, and folderSignature the name of a
	// folder's in it.
	signatureExtension = ".sig"
	folderSignature    = "model.sig"
	modelExtension     = ".onnx"
)

// SignatureFile is where the signature of the file or folder at a path is, where nothing else is
// said: mine.onnx.sig beside mine.onnx, and model.sig in a folder.
func SignatureFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.IsDir() {
		return filepath.Join(path, folderSignature), nil
	}
	return path + signatureExtension, nil
}

// SignModel signs the file or folder at a path, and writes the signature to a file as a whole. In
// a folder, the signature itself and the files of git are left out. An ONNX file with tensors in
// files of their own is refused, since its signature would not cover them: its folder is to be
// signed.
func (s *Signer) SignModel(ctx context.Context, path, signature string) error {
	ignored, err := ownFile(path, signature)
	if err != nil {
		return err
	}
	manifest, err := Hash(ctx, path, append(gitFiles(), ignored...)...)
	if err != nil {
		return fmt.Errorf("sign %s: %w", path, err)
	}
	if err := checkAlone(path, manifest); err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	statement, err := manifest.Statement()
	if err != nil {
		return err
	}
	bundle, err := s.Sign(statement)
	if err != nil {
		return fmt.Errorf("sign %s: %w", path, err)
	}
	return s.WriteBundle(signature, bundle)
}

// WriteBundle writes a bundle of the signer's to a file, as a whole. It may take the place of
// another one of the same signer. The bundle of somebody else, who alone could make it again, and
// any other file, such as the model or the key, is not written over.
func (s *Signer) WriteBundle(path string, bundle []byte) error {
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return fmt.Errorf("write the signature: %w", regular(path, info))
	}
	before, err := readFile(path, MaxBundle)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("write the signature: %w", err)
	case len(before) > 0 && !isBundle(before):
		return fmt.Errorf("%s is there and is no signature, and is not written over: name another file",
			path)
	case len(before) > 0:
		if err := s.made(path, before); err != nil {
			return err
		}
	}
	return atomicfile.WriteBytes(path, append(bundle, '\n'))
}

// made reports a bundle that is not the signer's.
func (s *Signer) made(path string, text []byte) error {
	material, err := s.material()
	if err != nil {
		return err
	}
	bundle := new(bundlepb.Bundle)
	if err := protojson.Unmarshal(text, bundle); err == nil &&
		proto.Equal(bundle.GetVerificationMaterial(), material) {
		return nil
	}
	return fmt.Errorf(
		"%s is there and by another key, or with other certificates, and is not written over: "+
			"name another file, or remove it", path)
}

// VerifyModel holds the file or folder at a path against a signature, and returns what was signed.
// Its error names the file that is at fault.
func (v *Verifier) VerifyModel(ctx context.Context, path, signature string) (*Manifest, error) {
	manifest, err := v.readManifest(signature)
	if err != nil {
		return nil, err
	}
	beside, err := ownFile(path, signature)
	if err != nil {
		return nil, err
	}
	if err := manifest.Check(ctx, path, beside...); err != nil {
		return nil, err
	}
	if err := checkAlone(path, manifest); err != nil {
		return nil, err
	}
	return manifest, nil
}

// ReadStatement reads a bundle from a file and returns its statement, as Open does.
func (v *Verifier) ReadStatement(path string) (*attestation.Statement, error) {
	statement, _, err := v.readStatement(path)
	return statement, err
}

func (v *Verifier) readStatement(path string) (_ *attestation.Statement, by string, _ error) {
	bundle, err := readFile(path, MaxBundle)
	if err != nil {
		return nil, "", fmt.Errorf("the signature: %w", err)
	}
	statement, by, err := v.open(bundle)
	if err != nil {
		return nil, "", fmt.Errorf("the signature %s: %w", path, err)
	}
	return statement, by, nil
}

func (v *Verifier) readManifest(path string) (*Manifest, error) {
	statement, by, err := v.readStatement(path)
	if err != nil {
		return nil, err
	}
	manifest, err := ManifestOf(statement)
	if err != nil {
		return nil, fmt.Errorf("the signature %s: %w", path, err)
	}
	manifest.SignedBy = by
	return manifest, nil
}

// SignaturesOf are the files that may hold the signature of the model in a file: its own, which
// counts where it is there, and that of its folder.
func SignaturesOf(path string) []string {
	return []string{path + signatureExtension, filepath.Join(filepath.Dir(path), folderSignature)}
}

// ReadModel reads an ONNX model from a file, if its signature verifies: mine.onnx.sig, or else the
// model.sig of its folder. Each file is read once, and the bytes that were verified are those that
// the model is made of. Files that hold its tensors must have been signed as well. What else lies
// in the folder does not matter, since it is not read. What the model says is for its Check.
func (v *Verifier) ReadModel(path string) (*onnx.Model, error) {
	manifest, err := v.manifestOf(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return onnx.ReadVerified(path, func(name string, content []byte) error {
		if manifest.Single() && name == filepath.Base(path) {
			name = itself
		}
		return manifest.CheckFile(name, content)
	})
}

// manifestOf is the manifest that the model in a file is held against.
func (v *Verifier) manifestOf(path string) (*Manifest, error) {
	for _, signature := range SignaturesOf(path) {
		if _, err := os.Stat(signature); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return v.readManifest(signature)
	}
	return nil, fmt.Errorf("it is not signed: there is neither %s nor %s beside it",
		filepath.Base(path)+signatureExtension, folderSignature)
}

// checkAlone refuses the manifest of a single ONNX file whose tensors lie in others.
func checkAlone(path string, manifest *Manifest) error {
	if manifest.Single() {
		return eachExternal(path, func(name string) error {
			return fmt.Errorf("%s: some of its tensors lie in %s, which the signature of one file does not "+
				"cover: sign its folder instead", path, name)
		})
	}
	for _, file := range manifest.Files {
		if !strings.EqualFold(filepath.Ext(file.Name), modelExtension) {
			continue
		}
		place := filepath.Join(path, filepath.FromSlash(file.Name))
		err := eachExternal(place, func(name string) error {
			within := pathpackage.Join(pathpackage.Dir(file.Name), name)
			if slices.ContainsFunc(manifest.Files, func(f File) bool { return f.Name == within }) {
				return nil
			}
			return fmt.Errorf(
				"%s: some of its tensors lie in %s, which the signature leaves out: give that "+
					"file another name", place, name)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// eachExternal calls a function with the names of the files that hold tensors of the model in a
// file. What is no ONNX model has none.
func eachExternal(path string, call func(name string) error) error {
	names, err := onnx.ExternalFiles(path)
	if err != nil && strings.EqualFold(filepath.Ext(path), modelExtension) {
		return err
	}
	for _, name := range names {
		if err := call(name); err != nil {
			return err
		}
	}
	return nil
}

// ownFile is the name of the signature in the model's folder, relative to it, none where it lies
// elsewhere.
func ownFile(path, signature string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return nil, err
	}
	folder, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	file, err := filepath.Abs(signature)
	if err != nil {
		return nil, err
	}
	name, err := filepath.Rel(folder, file)
	if err != nil || !filepath.IsLocal(name) {
		return nil, nil
	}
	return []string{filepath.ToSlash(name)}, nil
}
