package provenance_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	attestation "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/proto"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
	"slipway/provenance"
)

// A file verifies as it was signed, under any name, and not with one bit more or less.
func TestASignedFile(t *testing.T) {
	dir, signer := t.TempDir(), newSigner(t)
	path := write(t, filepath.Join(dir, "mine.onnx"), read(t, graph))
	signature, err := provenance.SignatureFile(path)
	if err != nil || signature != path+".sig" {
		t.Fatalf("%s, %v", signature, err)
	}
	if err := signer.SignModel(t.Context(), path, signature); err != nil {
		t.Fatal(err)
	}
	bundle := read(t, signature)
	if err := signer.SignModel(t.Context(), path, signature); err != nil {
		t.Fatal(err)
	}
	if string(read(t, signature)) != string(bundle) {
		t.Error("signed again, the signature is another one")
	}
	verifier := signer.Verifier()
	manifest, err := verifier.VerifyModel(t.Context(), path, signature)
	if err != nil {
		t.Fatal(err)
	}
	if manifest.Model != "mine.onnx" || len(manifest.Files) != 1 || manifest.Files[0].Name != "." {
		t.Errorf("%+v", manifest)
	}
	moved := write(t, filepath.Join(dir, "moved.onnx"), read(t, graph))
	if _, err := verifier.VerifyModel(t.Context(), moved, signature); err != nil {
		t.Error(err)
	}
	model, err := verifier.ReadModel(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := model.Check(); err != nil {
		t.Error(err)
	}

	_, err = newSigner(t).Verifier().VerifyModel(t.Context(), path, signature)
	refused(t, err, "mine.onnx.sig", "another key")
	content := read(t, graph)
	for _, at := range []int{0, len(content) / 2, len(content) - 1} {
		changed := slices.Clone(content)
		changed[at] ^= 1
		write(t, path, changed)
		_, err := verifier.VerifyModel(t.Context(), path, signature)
		refused(t, err, path, "not what was signed")
		_, err = verifier.ReadModel(path)
		refused(t, err, path, "not what was signed")
	}
	_, err = verifier.ReadModel(moved)
	refused(t, err, "moved.onnx: it is not signed: there is neither moved.onnx.sig nor model.sig")
}

// folder makes a model of several files, one of which sorts otherwise as a text than folder by
// folder.
func folder(t *testing.T) string {
	dir := filepath.Join(t.TempDir(), "model")
	write(t, filepath.Join(dir, "a.txt"), []byte("text"))
	write(t, filepath.Join(dir, "a", "b", "weights.bin"), []byte("weights"))
	write(t, filepath.Join(dir, "mine.onnx"), read(t, graph))
	write(t, filepath.Join(dir, "empty"), nil)
	write(t, filepath.Join(dir, ".git", "HEAD"), []byte("of git"))
	return dir
}

// A folder verifies with exactly the files that were signed; whatever else becomes of it is named.
func TestASignedFolder(t *testing.T) {
	signer := newSigner(t)
	verifier := signer.Verifier()
	signed := func(t *testing.T) (dir, signature string) {
		dir = folder(t)
		signature, err := provenance.SignatureFile(dir)
		if err != nil || signature != filepath.Join(dir, "model.sig") {
			t.Fatalf("%s, %v", signature, err)
		}
		if err := signer.SignModel(t.Context(), dir, signature); err != nil {
			t.Fatal(err)
		}
		return dir, signature
	}
	dir, signature := signed(t)
	manifest, err := verifier.VerifyModel(t.Context(), dir, signature)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range manifest.Files {
		names = append(names, file.Name)
	}
	if !slices.Equal(names, []string{"a/b/weights.bin", "a.txt", "empty", "mine.onnx"}) {
		t.Errorf("signed in the order %q", names)
	}
	if !slices.Contains(manifest.Ignored, "model.sig") || !slices.Contains(manifest.Ignored, ".git") {
		t.Errorf("left out: %q", manifest.Ignored)
	}
	if _, err := verifier.ReadModel(filepath.Join(dir, "mine.onnx")); err != nil {
		t.Error(err)
	}
	// The signature may lie elsewhere, and in the folder under another name.
	for _, other := range []string{filepath.Join(t.TempDir(), "s"), filepath.Join(dir, "other.sig")} {
		write(t, other, read(t, signature))
		if _, err := verifier.VerifyModel(t.Context(), dir, other); err != nil {
			t.Error(err)
		}
	}

	for name, test := range map[string]struct {
		do    func(t *testing.T, dir string)
		words []string
	}{
		"changed": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "a", "b", "weights.bin"), []byte("Weights"))
		}, []string{filepath.Join("a", "b", "weights.bin"), "not what was signed"}},
		"more": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "a", "more.py"), nil)
		}, []string{filepath.Join("a", "more.py"), "was not signed"}},
		"fewer": {func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "a.txt")); err != nil {
				t.Fatal(err)
			}
		}, []string{"a.txt", "missing"}},
		"a link": {func(t *testing.T, dir string) {
			link(t, filepath.Join(dir, "a.txt"), filepath.Join(dir, "link"))
		}, []string{"link is a symbolic link"}},
		"a link in place of a file": {func(t *testing.T, dir string) {
			path := filepath.Join(dir, "a.txt")
			outside := write(t, filepath.Join(t.TempDir(), "a.txt"), read(t, path))
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			link(t, outside, path)
		}, []string{"a.txt is a symbolic link"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, signature := signed(t)
			test.do(t, dir)
			_, err := verifier.VerifyModel(t.Context(), dir, signature)
			refused(t, err, append(test.words, dir)...)
		})
	}
	t.Run("a file of the folder alone", func(t *testing.T) {
		dir, signature := signed(t)
		_, err := verifier.VerifyModel(t.Context(), filepath.Join(dir, "a.txt"), signature)
		refused(t, err, "a folder of 4 files was signed")
	})
}

func link(t *testing.T, old, path string) {
	t.Helper()
	if err := os.Symlink(old, path); err != nil {
		t.Skip("this system makes no links:", err)
	}
}

// What cannot be signed is not, and what was signed before stays.
func TestWhatIsNotSigned(t *testing.T) {
	signer, dir := newSigner(t), t.TempDir()
	kept := write(t, filepath.Join(dir, "kept.sig"), []byte("before"))
	target := write(t, filepath.Join(dir, "target"), nil)
	link(t, target, filepath.Join(dir, "link"))
	link(t, t.TempDir(), filepath.Join(dir, "links", "in", "deep"))
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, words := range map[string][]string{
		filepath.Join(dir, "nothing"): {"no such file"},
		filepath.Join(dir, "link"):    {"a symbolic link"},
		empty:                         {"holds no file"},
		write(t, filepath.Join(dir, "no.onnx"), []byte("no model")): {"no.onnx",
			"not a whole ONNX model"},
	} {
		refused(t, signer.SignModel(t.Context(), path, kept), words...)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	refused(t, signer.SignModel(ctx, graph, kept), "canceled")
	if string(read(t, kept)) != "before" {
		t.Error("the signature of before was written over")
	}
}

// What a signature leaves out holds no tensors of what it signs, whatever the model is called.
func TestTensorsThatNobodySigns(t *testing.T) {
	signer := newSigner(t)
	for _, file := range []string{".gitattributes", ".git/w.bin", ".github/w.bin"} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(filepath.FromSlash(file))),
			0o755); err != nil {
			t.Fatal(err)
		}
		externalAt(t, filepath.Join(dir, "mine.onnx"), file)
		refused(t, signer.SignModel(t.Context(), dir, filepath.Join(dir, "model.sig")), file,
			"leaves out")
	}
	for _, name := range []string{"mine.ONNX", "mine"} {
		dir := t.TempDir()
		path := externalAt(t, filepath.Join(dir, name), "weights.bin")
		refused(t, signer.SignModel(t.Context(), path, path+".sig"), "weights.bin", "sign its folder")
		if err := signer.SignModel(t.Context(), dir, filepath.Join(dir, "model.sig")); err != nil {
			t.Error(err)
		}
	}
	// A signature is not written through a link.
	dir := t.TempDir()
	path := filepath.Join(dir, "mine.txt")
	write(t, path, []byte("text"))
	write(t, filepath.Join(dir, "other.sig"), nil)
	if err := os.Symlink("other.sig", path+".sig"); err != nil {
		t.Skip(err)
	}
	refused(t, signer.SignModel(t.Context(), path, path+".sig"), "symbolic link")
}

// A signature is written over by its own signer alone: nobody else could make it again.
func TestTheSignatureOfSomebodyElse(t *testing.T) {
	dir, own, other := t.TempDir(), newSigner(t), newSigner(t)
	path := filepath.Join(dir, "mine.txt")
	write(t, path, []byte("text"))
	signature := path + ".sig"
	if err := other.SignModel(t.Context(), path, signature); err != nil {
		t.Fatal(err)
	}
	before := read(t, signature)
	refused(t, own.SignModel(t.Context(), path, signature), signature, "not written over")
	if !bytes.Equal(read(t, signature), before) {
		t.Error("it was written over")
	}
	write(t, path, []byte("another text"))
	if err := other.SignModel(t.Context(), path, signature); err != nil {
		t.Error(err)
	}
	if bytes.Equal(read(t, signature), before) {
		t.Error("the signer's own one was not written anew")
	}
}

// A model whose tensors lie in another file is signed and read as its folder: the signature of one
// file would say nothing of them.
func TestTensorsInOtherFiles(t *testing.T) {
	signer, dir := newSigner(t), t.TempDir()
	path := external(t, dir)
	signature := path + ".sig"
	refused(t, signer.SignModel(t.Context(), path, signature), path, "weights.bin", "sign its folder")

	// As others may have signed it.
	manifest, err := provenance.Hash(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	statement, err := manifest.Statement()
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := signer.Sign(statement)
	if err != nil {
		t.Fatal(err)
	}
	write(t, signature, bundle)
	verifier := signer.Verifier()
	_, err = verifier.VerifyModel(t.Context(), path, signature)
	refused(t, err, "weights.bin", "sign its folder")
	_, err = verifier.ReadModel(path)
	refused(t, err, "weights.bin", "does not cover it")

	if err := os.Remove(signature); err != nil {
		t.Fatal(err)
	}
	signature = filepath.Join(dir, "model.sig")
	if err := signer.SignModel(t.Context(), dir, signature); err != nil {
		t.Fatal(err)
	}
	model, err := verifier.ReadModel(path)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := onnx.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(model.Proto.GetGraph().GetInitializer(),
		plain.Proto.GetGraph().GetInitializer(), func(a, b *onnxpb.TensorProto) bool {
			return string(a.GetRawData()) == string(b.GetRawData())
		}) {
		t.Error("the tensors are others than those that Read reads")
	}
	weights := read(t, filepath.Join(dir, "weights.bin"))
	weights[len(weights)-1] ^= 1
	write(t, filepath.Join(dir, "weights.bin"), weights)
	_, err = verifier.ReadModel(path)
	refused(t, err, "weights.bin", "not what was signed")
	if strings.Contains(err.Error(), "mine.onnx.sig") {
		t.Error(err)
	}
}

// What the Python package signed verifies, and not with a file changed.
func TestSignedByPython(t *testing.T) {
	python := filepath.Join("testdata", "python")
	verifier, err := provenance.ReadVerifier(filepath.Join(python, "key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "model")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(python, "model"))); err != nil {
		t.Fatal(err)
	}
	for signature, path := range map[string]string{"model.sig": dir,
		"a.txt.sig": filepath.Join(dir, "a.txt")} {
		if _, err := verifier.VerifyModel(t.Context(), path, filepath.Join(python,
			signature)); err != nil {
			t.Error(err)
		}
	}
	// The manifest is the one that is made here, file by file in the same order, with the same
	// digest over all.
	theirs, err := verifier.ReadStatement(filepath.Join(python, "model.sig"))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := provenance.Hash(t.Context(), dir, ".git", ".gitattributes", ".github",
		".gitignore")
	if err != nil {
		t.Fatal(err)
	}
	ours, err := manifest.Statement()
	if err != nil {
		t.Fatal(err)
	}
	// A set of paths, in the order of chance.
	for _, statement := range []*attestation.Statement{ours, theirs} {
		predicate := statement.GetPredicate().GetFields()
		serialization := predicate["serialization"].GetStructValue().GetFields()
		if len(serialization["ignore_paths"].GetListValue().GetValues()) != 4 {
			t.Errorf("left out: %v", serialization["ignore_paths"])
		}
		delete(serialization, "ignore_paths")
	}
	if !proto.Equal(ours, theirs) {
		t.Errorf("ours:   %v\ntheirs: %v", ours, theirs)
	}
	write(t, filepath.Join(dir, "a", "weights.bin"), []byte("Weights\n"))
	_, err = verifier.VerifyModel(t.Context(), dir, filepath.Join(python, "model.sig"))
	refused(t, err, filepath.Join("a", "weights.bin"), "not what was signed")
}
