package dataset

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// inTar is a file in one of a set's archives.
type inTar struct {
	archive *tarArchive
	member  tarMember
	// within is its name within the set: without folders that all lie in, and without the
	// part's.
	within string
}

func (f inTar) errorf(format string, args ...any) error {
	return f.archive.errorAt(f.member.name, fmt.Errorf(format, args...))
}

// picture makes a picture of the file. Names of several archives begin with theirs.
func (f inTar) picture(several bool) pictureFile {
	name := f.within
	if several {
		name = filepath.Base(f.archive.path) + "/" + name
	}
	where := f.archive.path + ": " + f.member.name
	return pictureFile{name: name, where: where, read: f.archive.read(f.member),
		stamp: f.archive.stampAt(f.member.offset)}
}

// isSampleNote reports whether a file of that name may say a label, name the classes or be a
// licence.
func isSampleNote(name string) bool {
	_, extension := sampleKey(name)
	return slices.Contains(labelExtensions(), extension) || isLicence(path.Base(name))
}

// labelExtensions are those of the files that say a sample's label, the surest first.
func labelExtensions() []string { return []string{"cls", "json", "txt"} }

// sampleKey splits a member's name as webdataset does: a sample's members share what is
// before the first dot of the last part, and differ in what is behind it.
func sampleKey(name string) (key, extension string) {
	dir, base := path.Split(name)
	base, extension, _ = strings.Cut(base, ".")
	return dir + base, strings.ToLower(extension)
}

// sample is a picture and the files that belong to it.
type sample struct {
	pictures []inTar
	notes    map[string]inTar // by extension, nil where there are none
}

// label returns what the sample's notes say of its label. ok is false where they say
// nothing.
func (s *sample) label() (text string, ok bool, err error) {
	for _, extension := range labelExtensions() {
		note, there := s.notes[extension]
		if !there || note.member.data == nil {
			continue
		}
		if extension != "json" {
			text = strings.TrimSpace(string(note.member.data))
		} else if text, err = labelInJSON(note.member.data); err != nil {
			return "", false, note.errorf("%w", err)
		}
		if text != "" {
			return text, true, nil
		}
	}
	return "", false, nil
}

// labelInJSON returns the field label or class of an object: a number or a word.
func labelInJSON(data []byte) (string, error) {
	var fields struct{ Label, Class json.RawMessage }
	if err := json.Unmarshal(data, &fields); err != nil {
		return "", fmt.Errorf("%w: %w", ErrArgument, err)
	}
	value := fields.Label
	if len(value) == 0 {
		value = fields.Class
	}
	var word string
	if json.Unmarshal(value, &word) == nil {
		return strings.TrimSpace(word), nil
	}
	var number json.Number
	if json.Unmarshal(value, &number) == nil {
		return number.String(), nil
	}
	return "", nil
}

// samplesOf groups files by their keys, in the order of the first of each.
func samplesOf(files []inTar) []*sample {
	type key struct {
		archive *tarArchive
		key     string
	}
	known := make(map[key]*sample)
	var samples []*sample
	for _, file := range files {
		name, extension := sampleKey(file.member.name)
		picture := slices.Contains(pictureExtensions(), "."+extension)
		note := slices.Contains(labelExtensions(), extension)
		if !picture && !note {
			continue
		}
		s := known[key{file.archive, name}]
		if s == nil {
			s = new(sample)
			known[key{file.archive, name}] = s
			samples = append(samples, s)
		}
		if picture {
			s.pictures = append(s.pictures, file)
			continue
		}
		if s.notes == nil {
			s.notes = make(map[string]inTar)
		}
		s.notes[extension] = file
	}
	return slices.DeleteFunc(samples, func(s *sample) bool { return len(s.pictures) == 0 })
}

// listSamples lists pictures with their labels beside them, as webdataset writes them. It
// returns nil where no picture has one.
func listSamples(place string, files []inTar, several bool, opts Options) (*pictureFiles, error) {
	samples := samplesOf(files)
	list := &pictureFiles{place: place}
	var texts []string
	var wrong error
	unlabelled, used := 0, 0
	for _, s := range samples {
		text, ok, err := s.label()
		switch {
		case wrong != nil:
		case len(s.pictures) > 1:
			wrong = s.pictures[0].errorf("%w: the sample has another picture, %s; keep one",
				ErrAmbiguous, s.pictures[1].member.name)
		case err != nil:
			wrong = err
		case !ok && !opts.SkipDamaged:
			wrong = s.pictures[0].errorf("%w: it has no .cls, .json or .txt with a label beside "+
				"it (-skip-damaged leaves it out)", ErrNoLabels)
		}
		used += len(s.pictures) + len(s.notes)
		if !ok {
			unlabelled++
			continue
		}
		list.files, texts = append(list.files, s.pictures[0].picture(several)), append(texts, text)
	}
	if len(texts) == 0 {
		return nil, nil
	}
	if wrong != nil {
		return nil, wrong
	}
	if unlabelled > 0 {
		opts.say("%s: %s without a label left out", place, counted(unlabelled, "picture",
			"pictures"))
	}
	for _, file := range files {
		if top, _, _ := strings.Cut(file.within, "/"); isMeta(top) {
			used++ // what is said of the set is no picture that was passed over
		}
	}
	list.passed = len(files) - used
	return list, list.setLabels(texts)
}

// listTarFolders lists pictures in a folder for each class, in the order in which the
// same folders, unpacked, are listed.
func listTarFolders(place string, files []inTar, several bool) (*pictureFiles, error) {
	list := &pictureFiles{place: place}
	var taken []inTar
	for _, file := range files {
		class, _, inFolder := strings.Cut(file.within, "/")
		base := path.Base(file.within)
		switch {
		case isMeta(class):
		case !inFolder || isJunk(base) || isNote(base) || isJunk(class):
			list.pass(file.within)
		default:
			taken = append(taken, file)
		}
	}
	slices.SortStableFunc(taken, func(a, b inTar) int { return compareNames(a.within, b.within) })
	texts := make([]string, len(taken))
	for i, file := range taken {
		texts[i], _, _ = strings.Cut(file.within, "/")
		list.files = append(list.files, file.picture(several))
	}
	if len(taken) == 0 {
		return nil, fmt.Errorf("%s: %w: its pictures lie in no folder of a class, and have no "+
			".cls, .json or .txt with a label beside them", place, ErrNoLabels)
	}
	labels, classes := wordLabels(texts)
	if len(classes) > MaxClasses {
		return nil, fmt.Errorf("%s: %w: %d folders, one a class; at most %d are possible", place,
			ErrArgument, len(classes), MaxClasses)
	}
	list.classes = classes
	for i, label := range labels {
		list.files[i].label = label
	}
	return list, nil
}

// compareNames orders names as folders are walked: part by part, where a part goes before
// those that it begins.
func compareNames(a, b string) int {
	for i := range min(len(a), len(b)) {
		switch {
		case a[i] == b[i]:
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		default:
			return cmp.Compare(a[i], b[i])
		}
	}
	return cmp.Compare(len(a), len(b))
}

// notesInTar takes class names and the licence from the archives' own files: those of a
// set, which lie in its root or in a folder that webdataset passes over, as __set__.
func (l *pictureFiles) notesInTar(files []inTar, opts Options) error {
	for _, file := range files {
		dir, base := path.Split(file.within)
		dir = strings.TrimSuffix(dir, "/")
		if dir != "" && !isMeta(dir) || file.member.data == nil {
			continue
		}
		if isLicence(base) && l.licence == "" {
			l.licence = licenceLine(file.member.data, base)
		}
		if base == ClassNamesFile && len(l.classes) == 0 && !opts.OwnNames {
			names, err := parseClassNames(file.archive.path+": "+file.member.name,
				bytes.Clone(file.member.data))
			if err != nil {
				return err
			}
			l.classes = names
		}
	}
	return nil
}

// metaFolder is the folder of an archive for what is said of the whole set.
const metaFolder = "__set__"

func isMeta(dir string) bool {
	return len(dir) > 4 && strings.HasPrefix(dir, "__") && strings.HasSuffix(dir, "__")
}
