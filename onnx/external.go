package onnx

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"slipway/onnx/internal/message"
	"slipway/onnx/onnxpb"
)

// externalRef is where a tensor's external data lies.
type externalRef struct {
	location string // relative, with slashes, below the model's folder
	offset   int64
	length   int64 // -1 if the file does not say
}

// loadExternal moves all external data into the model. The files must lie in
// the model's folder or below it; os.Root keeps symbolic links from leading
// elsewhere, also when they change while the model is read. verify, if not nil,
// sees each file as a whole before anything of it is used.
func (m *Model) loadExternal(verify func(name string, content []byte) error) error {
	var files *externalFiles
	defer func() {
		if files != nil {
			files.close()
		}
	}()
	budget := maxBytes - m.fileBytes
	return eachTensor(m.Proto, func(place string, tensor *onnxpb.TensorProto) error {
		if tensor.GetDataLocation() != onnxpb.TensorProto_EXTERNAL {
			return nil
		}
		if files == nil {
			var err error
			if files, err = openExternal(filepath.Dir(m.path), budget, verify); err != nil {
				return fmt.Errorf("open the model's folder for external data: %w", err)
			}
		}
		data, err := readExternal(files, tensor, budget)
		if err != nil {
			return fmt.Errorf("%s, tensor %q: external data: %w", place, message.Shorten(tensor.GetName()),
				err)
		}
		budget -= int64(len(data))
		m.externalBytes += int64(len(data))
		tensor.RawData = data
		tensor.ExternalData = nil
		tensor.DataLocation = nil
		return nil
	})
}

// ExternalFiles returns the names of the files that hold tensors of the model in a file, relative
// to its folder, with slashes: those that Read reads as well. It does not read them. Names that
// lead out of the folder, which Read refuses, are left out.
func ExternalFiles(path string) ([]string, error) {
	data, err := readRegular(path)
	if err != nil {
		return nil, fmt.Errorf("read the model: %w", err)
	}
	model, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	names := make(map[string]bool)
	err = eachTensor(model.Proto, func(_ string, tensor *onnxpb.TensorProto) error {
		if tensor.GetDataLocation() != onnxpb.TensorProto_EXTERNAL {
			return nil
		}
		// One that Read refuses names no file.
		if ref, err := parseExternal(tensor.ExternalData); err == nil &&
			filepath.IsLocal(filepath.FromSlash(ref.location)) {
			names[ref.location] = true
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return slices.Sorted(maps.Keys(names)), nil
}

func readExternal(files *externalFiles, tensor *onnxpb.TensorProto, budget int64) ([]byte, error) {
	want, err := message.ByteLength(tensor)
	if err != nil {
		return nil, err
	}
	if len(tensor.RawData)+len(tensor.FloatData)+len(tensor.Int32Data)+len(tensor.Int64Data)+
		len(tensor.DoubleData)+len(tensor.Uint64Data)+len(tensor.StringData) > 0 {
		return nil, errors.New("the tensor holds data of its own as well; keep one")
	}
	ref, err := parseExternal(tensor.ExternalData)
	if err != nil {
		return nil, err
	}
	if ref.length >= 0 && ref.length != want {
		return nil, fmt.Errorf("length is %d, but the tensor's shape %s needs %d bytes", ref.length,
			message.Shorten(fmt.Sprint(tensor.GetDims())), want)
	}
	if want > budget {
		return nil, fmt.Errorf(
			"%d bytes more would make the model larger than 2 GiB, which this program does not load", want)
	}

	name := message.Shorten(ref.location)
	file, err := files.open(ref.location)
	if err != nil {
		return nil, err
	}
	defer file.close()
	if ref.offset > file.size || want > file.size-ref.offset {
		return nil, fmt.Errorf(
			"%q is %d bytes long, but %d bytes from byte %d are asked for; the file is truncated or another model's",
			name, file.size, want, ref.offset)
	}
	if ref.length < 0 && file.size-ref.offset != want {
		return nil, fmt.Errorf(
			"no length is given, and from byte %d %q has %d bytes, not the %d of the tensor's shape",
			ref.offset, name, file.size-ref.offset, want)
	}
	data := make([]byte, want)
	if _, err := io.ReadFull(io.NewSectionReader(file.content, ref.offset, want), data); err != nil {
		return nil, fmt.Errorf("read %q: %w", name, err)
	}
	return data, nil
}

func parseExternal(entries []*onnxpb.StringStringEntryProto) (externalRef, error) {
	ref := externalRef{length: -1}
	seen := make(map[string]bool)
	for _, entry := range entries {
		key, value := entry.GetKey(), entry.GetValue()
		if seen[key] {
			return ref, fmt.Errorf("the key %q is given twice", message.Shorten(key))
		}
		seen[key] = true
		var err error
		switch key {
		case "location":
			ref.location = value
		case "offset":
			ref.offset, err = parseSize(key, value)
		case "length":
			ref.length, err = parseSize(key, value)
		}
		if err != nil {
			return ref, err
		}
	}
	if ref.location == "" {
		return ref, errors.New("no location is given")
	}
	return ref, checkLocation(ref.location)
}

func parseSize(key, value string) (int64, error) {
	size, err := strconv.ParseInt(value, 10, 64)
	if err != nil || size < 0 {
		return 0, fmt.Errorf("%s is %q, not a number of bytes", key, message.Shorten(value))
	}
	return size, nil
}

// checkLocation refuses what ONNX does: paths that are absolute or go up, in the
// spelling of any system.
func checkLocation(location string) error {
	const remedy = "it must be a path below the model's folder"
	if strings.ContainsRune(location, 0) || !filepath.IsLocal(filepath.FromSlash(location)) {
		return fmt.Errorf("the location %q leads out of the model's folder; %s",
			message.Shorten(location), remedy)
	}
	for part := range strings.FieldsFuncSeq(location, func(r rune) bool {
		return r == '/' || r == '\\'
	}) {
		if part == ".." {
			return fmt.Errorf("the location %q contains ..; %s", message.Shorten(location), remedy)
		}
	}
	if strings.HasPrefix(location, `\`) || len(location) > 1 && location[1] == ':' {
		return fmt.Errorf("the location %q is absolute; %s", message.Shorten(location), remedy)
	}
	return nil
}
