package provenance

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway/internal/nonblock"
)

// gitFiles are left out of a model's folder, as the Python package does unless it is told
// otherwise.
func gitFiles() []string { return []string{".git", ".gitattributes", ".github", ".gitignore"} }

// Hash returns the manifest of a file, or of a folder without what is ignored: names relative to
// it, with slashes. Symbolic links and what is neither a file nor a folder are errors.
func Hash(ctx context.Context, path string, ignored ...string) (*Manifest, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	m := &Manifest{Model: filepath.Base(absolute)}
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		if err := regular(path, info); err != nil {
			return nil, err
		}
		digest, err := hashFile(ctx, path, info, func() (fs.File, error) {
			return os.OpenFile(path, os.O_RDONLY|nonblock.Flag, 0)
		})
		if err != nil {
			return nil, err
		}
		m.Files = []File{{itself, digest}}
		return m, nil
	}
	for _, name := range ignored {
		if err := checkName(name); err != nil {
			return nil, fmt.Errorf("what is left out of %s: %w", path, err)
		}
	}
	m.Ignored = slices.Compact(slices.Sorted(slices.Values(ignored)))
	if err := m.hashFolder(ctx, path); err != nil {
		return nil, err
	}
	if len(m.Files) == 0 {
		return nil, fmt.Errorf("%s holds no file", path)
	}
	slices.SortFunc(m.Files, byName)
	return m, nil
}

// hashFolder adds what lies in a folder. A root keeps links that come while it is read from leading
// out of it.
func (m *Manifest) hashFolder(ctx context.Context, path string) error {
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), itself, func(name string, entry fs.DirEntry, err error) error {
		place := filepath.Join(path, filepath.FromSlash(name))
		if err == nil {
			err = ctx.Err()
		}
		switch {
		case err != nil:
			return err
		case m.ignores(name) && entry.IsDir():
			return fs.SkipDir
		case m.ignores(name) || entry.IsDir():
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if err := regular(place, info); err != nil {
			return err
		}
		if err := checkName(name); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		digest, err := hashFile(ctx, place, info, func() (fs.File, error) {
			return root.OpenFile(name, os.O_RDONLY|nonblock.Flag, 0)
		})
		if err != nil {
			return err
		}
		m.Files = append(m.Files, File{name, digest})
		return nil
	})
}

func hashFile(ctx context.Context, place string, before fs.FileInfo,
	open func() (fs.File, error)) (Digest, error) {
	file, err := open()
	if err != nil {
		return Digest{}, err
	}
	defer file.Close()
	if err := same(place, before, file); err != nil {
		return Digest{}, err
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, contextReader{ctx, file}); err != nil {
		return Digest{}, fmt.Errorf("read %s: %w", place, err)
	}
	return Digest(hash.Sum(nil)), nil
}

// Check holds the file or folder at a path against the manifest. beside are files of the folder
// that are none of the model's, such as its signature: names relative to it, with slashes.
func (m *Manifest) Check(ctx context.Context, path string, beside ...string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	switch {
	case info.IsDir() && m.Single():
		return fmt.Errorf("%s is a folder, and a single file was signed", path)
	case !info.IsDir() && info.Mode().IsRegular() && !m.Single():
		return fmt.Errorf("%s is a file, and a folder of %d files was signed: name the folder", path,
			len(m.Files))
	}
	there, err := Hash(ctx, path, append(slices.Clone(m.Ignored), beside...)...)
	if err != nil {
		return err
	}
	return m.compare(path, there)
}

// compare says in what the files that are there are not those that were signed.
func (m *Manifest) compare(path string, there *Manifest) error {
	found := make(map[string]Digest, len(there.Files))
	for _, file := range there.Files {
		found[file.Name] = file.Digest
	}
	var changed, missing, more []string
	for _, file := range m.Files {
		digest, ok := found[file.Name]
		delete(found, file.Name)
		switch {
		case !ok:
			missing = append(missing, file.Name)
		case digest != file.Digest:
			changed = append(changed, file.Name)
		}
	}
	for name := range found {
		more = append(more, name)
	}
	slices.Sort(more)
	var all []error
	for _, kind := range []struct {
		names []string
		say   string
	}{{changed, "not what was signed"}, {missing, "signed, and missing"}, {more,
		"there, and was not signed"}} {
		if len(kind.names) > 0 {
			all = append(all, fmt.Errorf("%s is %s", list(path, kind.names), kind.say))
		}
	}
	return errors.Join(all...)
}

// list writes a few names of files of a folder.
func list(path string, names []string) string {
	const most = 10
	var places []string
	for _, name := range names[:min(most, len(names))] {
		places = append(places, filepath.Join(path, filepath.FromSlash(name)))
	}
	text := strings.Join(places, ", ")
	if more := len(names) - len(places); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// CheckFile holds the content of one of the model's files against the manifest.
func (m *Manifest) CheckFile(name string, content []byte) error {
	for _, file := range m.Files {
		if file.Name != name {
			continue
		}
		if Digest(sha256.Sum256(content)) != file.Digest {
			return errors.New("it is not what was signed")
		}
		return nil
	}
	return errors.New("the signature does not cover it")
}
