package provenance

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	attestation "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/types/known/structpb"
)

const (
	// predicateType is that of a model's signature.
	predicateType = "https://model_signing/signature/v1.0"
	// wholeFiles is the method of manifests with a digest for each file, and algorithm its digest.
	wholeFiles, algorithm = "files", "sha256"
	// itself is the name of the one file of a model that is no folder.
	itself = "."
)

// A Digest is a SHA-256.
type Digest [sha256.Size]byte

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// A Manifest says what a model consists of.
type Manifest struct {
	// Model is the name of the file or folder when it was signed. Nothing follows from it.
	Model string
	// Files are the model's, in the order in which they are signed: by their names, folder by
	// folder.
	Files []File
	// Ignored are the files and folders of a folder that were left out, with all below them.
	Ignored []string
	// SignedBy is the subject of the certificate whose key has signed it, as in RFC 2253, with its
	// e-mail addresses and URIs. It is empty where a key alone has, and before it is verified.
	SignedBy string
}

// A File is one of a model's.
type File struct {
	// Name is relative to the model's folder, with slashes, and "." for a model that is one file.
	Name   string
	Digest Digest
}

// Single reports whether the model is one file, and no folder.
func (m *Manifest) Single() bool { return len(m.Files) == 1 && m.Files[0].Name == itself }

// Statement is the in-toto statement of the manifest, which is what is signed. Its subject has the
// SHA-256 over the digests of all files in their order.
func (m *Manifest) Statement() (*attestation.Statement, error) {
	resources := make([]any, len(m.Files))
	for i, file := range m.Files {
		resources[i] = map[string]any{"name": file.Name, "algorithm": algorithm,
			"digest": file.Digest.String()}
	}
	serialization := map[string]any{"method": wholeFiles, "hash_type": algorithm,
		"allow_symlinks": false}
	if len(m.Ignored) > 0 {
		ignored := make([]any, len(m.Ignored))
		for i, name := range m.Ignored {
			ignored[i] = name
		}
		serialization["ignore_paths"] = ignored
	}
	predicate, err := structpb.NewStruct(map[string]any{"serialization": serialization,
		"resources": resources})
	if err != nil {
		return nil, fmt.Errorf("the manifest of %s: %w", m.Model, err) // a name that is no UTF-8
	}
	return &attestation.Statement{
		Type: attestation.StatementTypeUri,
		Subject: []*attestation.ResourceDescriptor{{Name: m.Model,
			Digest: map[string]string{algorithm: m.root().String()}}},
		PredicateType: predicateType,
		Predicate:     predicate,
	}, nil
}

// root is the digest over all digests.
func (m *Manifest) root() Digest {
	hash := sha256.New()
	for _, file := range m.Files {
		hash.Write(file.Digest[:])
	}
	return Digest(hash.Sum(nil))
}

// ManifestOf reads the manifest of a statement, and refuses one that is of something else, does not
// agree with itself, or names what cannot be a model's file.
func ManifestOf(statement *attestation.Statement) (*Manifest, error) {
	if statement.GetPredicateType() != predicateType {
		return nil,
			fmt.Errorf("what was signed is no model: the predicate is of the type %.80q, and %s is a "+
				"model's", statement.GetPredicateType(), predicateType)
	}
	if n := len(statement.GetSubject()); n != 1 {
		return nil, fmt.Errorf("the manifest is of %d models; one is read", n)
	}
	subject, fields := statement.GetSubject()[0], statement.GetPredicate().GetFields()
	m := &Manifest{Model: subject.GetName()}
	if err := m.readSerialization(fields["serialization"].GetStructValue().GetFields()); err != nil {
		return nil, fmt.Errorf("the manifest: %w", err)
	}
	if err := m.readResources(fields["resources"].GetListValue().GetValues()); err != nil {
		return nil, fmt.Errorf("the manifest: %w", err)
	}
	signed, err := parseDigest(subject.GetDigest()[algorithm])
	if err != nil {
		return nil, fmt.Errorf("the manifest: the model's SHA-256: %w", err)
	}
	if signed != m.root() {
		return nil,
			fmt.Errorf("the manifest does not agree with itself: its digest is %v, and that of its "+
				"files %v", signed, m.root())
	}
	return m, nil
}

// readSerialization reads how the manifest was made.
func (m *Manifest) readSerialization(fields map[string]*structpb.Value) error {
	if method := fields["method"].GetStringValue(); method != wholeFiles {
		return fmt.Errorf("it was made by the method %.40q; %s is read, with a digest for each file",
			method, wholeFiles)
	}
	if kind := fields["hash_type"].GetStringValue(); kind != algorithm {
		return fmt.Errorf("its digests are %.40q; %s is read", kind, algorithm)
	}
	for _, value := range fields["ignore_paths"].GetListValue().GetValues() {
		name := value.GetStringValue()
		if name == itself {
			return errors.New("it leaves the whole model out")
		}
		if err := checkName(name); err != nil {
			return fmt.Errorf("what it leaves out: %w", err)
		}
		m.Ignored = append(m.Ignored, name)
	}
	return nil
}

func (m *Manifest) readResources(values []*structpb.Value) error {
	if len(values) == 0 {
		return errors.New("it names no file")
	}
	names := make(map[string]bool, len(values))
	for i, value := range values {
		fields := value.GetStructValue().GetFields()
		name := fields["name"].GetStringValue()
		if err := checkName(name); err != nil {
			return err
		}
		if names[name] {
			return fmt.Errorf("it names the file %.200q twice", name)
		}
		names[name] = true
		if kind := fields["algorithm"].GetStringValue(); kind != algorithm {
			return fmt.Errorf("the digest of file %d, %.200q, is a %.40q; %s is read", i+1, name, kind,
				algorithm)
		}
		digest, err := parseDigest(fields["digest"].GetStringValue())
		if err != nil {
			return fmt.Errorf("the digest of file %d, %.200q: %w", i+1, name, err)
		}
		m.Files = append(m.Files, File{Name: name, Digest: digest})
	}
	if names[itself] && len(names) > 1 {
		return errors.New("it names files of a folder and the folder as a file")
	}
	return nil
}

// checkName refuses a name that leads out of the model's folder, on any system, or that is not the
// shortest of its file, so that no file has two.
func checkName(name string) error {
	if !fs.ValidPath(name) || !filepath.IsLocal(filepath.FromSlash(name)) ||
		strings.ContainsAny(name, "\\\x00") || len(name) > 1 && name[1] == ':' {
		return fmt.Errorf("%.200q is no name of a file within a model's folder", name)
	}
	return nil
}

func parseDigest(text string) (digest Digest, err error) {
	if len(text) != hex.EncodedLen(len(digest)) {
		return digest, fmt.Errorf("it has %d digits; a SHA-256 has %d", len(text),
			hex.EncodedLen(len(digest)))
	}
	if _, err := hex.Decode(digest[:], []byte(text)); err != nil {
		return digest, errors.New("it is not hexadecimal")
	}
	return digest, nil
}

// byName orders files as the Python package does: folder by folder, which is not the order of the
// names as texts.
func byName(a, b File) int {
	return slices.Compare(strings.Split(a.Name, "/"), strings.Split(b.Name, "/"))
}

// ignores reports whether a file or folder of a model's folder is left out.
func (m *Manifest) ignores(name string) bool {
	return slices.ContainsFunc(m.Ignored, func(ignored string) bool {
		return name == ignored || strings.HasPrefix(name, ignored+"/")
	})
}
