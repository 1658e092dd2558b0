package dataset

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"path"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"slipway/dataset/picture"
)

// packer hands out the images of a set one by one, encoded.
type packer struct {
	ctx     context.Context
	opts    Options
	n       int
	classes []string
	licence string
	// encoded returns image i as the bytes of a file; it is called by many at once.
	encoded func(i int) ([]byte, error)
	// name is that of image i without its extension, and empty for its number. extension
	// begins with a dot, and is empty for that of the format.
	name  func(i int) (stem, extension string)
	label func(i int) int32
	// damaged reports whether an error of encoded may leave an image out.
	damaged bool
}

// tarPacker opens the set of that name for packing.
func tarPacker(ctx context.Context, spec string, opts Options) (*packer, error) {
	if err := opts.check(spec); err != nil {
		return nil, err
	}
	if opts.Sizing == nil && opts.Channels == 0 {
		place, err := placeOf(spec, opts)
		if err != nil {
			return nil, err
		}
		if place != nil {
			if place.list.combinations != nil {
				return nil, notPacked(spec)
			}
			return picturesPacker(ctx, place.list, opts), nil
		}
	}
	set, err := Open(ctx, spec, opts)
	if err != nil {
		return nil, err
	}
	if set.MultiLabel() {
		return nil, notPacked(set.Name)
	}
	if set.Channels != 1 && set.Channels != 3 {
		return nil, fmt.Errorf("%s: %w: images of %d channels; a PNG has 1 or 3: write them as IDX",
			set.Name, ErrArgument, set.Channels)
	}
	return &packer{
		ctx: ctx, opts: opts, n: set.Len(), classes: set.ClassNames, licence: set.Info().Licence,
		encoded: func(i int) ([]byte, error) { return encodePNG(set, i) },
		name:    func(int) (string, string) { return "", ".png" },
		label:   func(i int) int32 { return set.Labels[i] },
	}, nil
}

// picturesPacker packs pictures as they are, each after it was decoded once.
func picturesPacker(ctx context.Context, list *pictureFiles, opts Options) *packer {
	p := &packer{
		ctx: ctx, opts: opts, n: len(list.files), classes: list.classes, licence: list.licence,
		damaged: true, name: func(int) (string, string) { return "", "" },
		label: func(i int) int32 { return list.files[i].label },
	}
	p.encoded = func(i int) ([]byte, error) {
		data, err := list.files[i].read()
		if err == nil {
			_, err = picture.Decode(data, picture.Options{})
			if err != nil {
				err = fmt.Errorf("%s: %w", list.files[i].where, err)
			}
		}
		return data, err
	}
	if keepNames(list.files) {
		p.name = func(i int) (string, string) {
			name := list.files[i].name
			extension := path.Ext(name)
			return strings.TrimSuffix(name, extension), extension
		}
	}
	return p
}

// keepNames reports whether the pictures' own names may be those of samples: each ends in
// a picture's extension, has no other dot in its last part, and no two have the same key.
func keepNames(files []pictureFile) bool {
	keys := make(map[string]bool, len(files))
	for _, file := range files {
		key, extension := sampleKey(file.name)
		top, _, _ := strings.Cut(file.name, "/")
		if !isPictureName("."+extension) || strings.Contains(extension, ".") || keys[key] ||
			path.Clean(file.name) != file.name || path.IsAbs(file.name) || isMeta(top) {
			return false
		}
		keys[key] = true
	}
	return true
}

// encodePNG makes a PNG of image i of a set of 1 or 3 channels.
func encodePNG(set *Set, i int) ([]byte, error) {
	pixels, bounds := set.Image(i), image.Rect(0, 0, set.Width, set.Height)
	var drawn image.Image = &image.Gray{Pix: pixels, Stride: set.Width, Rect: bounds}
	if set.Channels == 3 {
		colours := image.NewNRGBA(bounds)
		plane := set.Height * set.Width
		for at := range plane {
			pixel := color.NRGBA{pixels[at], pixels[plane+at], pixels[2*plane+at], 255}
			colours.SetNRGBA(at%set.Width, at/set.Width, pixel)
		}
		drawn = colours
	}
	var file bytes.Buffer
	err := png.Encode(&file, drawn)
	return file.Bytes(), err
}

// to returns the function that writes the archive and counts into packed.
func (p *packer) to(packed *Packed) func(io.Writer) error {
	return func(w io.Writer) error {
		archive := tar.NewWriter(w)
		if len(p.classes) > 0 {
			name := metaFolder + "/" + ClassNamesFile
			if err := addMember(archive, name, namesText(p.classes)); err != nil {
				return err
			}
		}
		if text := licenceText(p.licence); text != nil {
			if err := addMember(archive, metaFolder+"/"+licenceNames()[0], text); err != nil {
				return err
			}
		}
		const together = 256 // images that are encoded before they are written
		for begin := 0; begin < p.n; begin += together {
			if err := p.write(archive, begin, min(begin+together, p.n), packed); err != nil {
				return err
			}
		}
		if packed.Images == 0 {
			return ErrEmpty
		}
		packed.Classes = max(packed.Classes, len(p.classes))
		return archive.Close()
	}
}

// write encodes the images from begin to end on all cores, and writes them in order.
func (p *packer) write(archive *tar.Writer, begin, end int, packed *Packed) error {
	images, errs := make([][]byte, end-begin), make([]error, end-begin)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(images) || p.ctx.Err() != nil {
					return
				}
				images[i], errs[i] = p.encoded(begin + i)
			}
		})
	}
	workers.Wait()
	if err := p.ctx.Err(); err != nil {
		return err
	}
	for i, data := range images {
		switch err := errs[i]; {
		case err != nil && p.damaged && p.opts.SkipDamaged:
			p.opts.say("left out: %v", err)
			packed.LeftOut++
			continue
		case err != nil && p.damaged:
			return fmt.Errorf("%w (-skip-damaged leaves it out)", err)
		case err != nil:
			return err
		}
		stem, extension := p.name(begin + i)
		if stem == "" {
			stem = fmt.Sprintf("%06d", packed.Images)
		}
		if extension == "" {
			extension = extensionOf(picture.Format(data))
		}
		label := p.label(begin + i)
		err := errors.Join(
			addMember(archive, stem+extension, data),
			addMember(archive, stem+".cls", []byte(strconv.Itoa(int(label)))))
		if err != nil {
			return err
		}
		packed.Images++
		packed.Classes = max(packed.Classes, int(label)+1)
	}
	return nil
}

// extensionOf is the usual one of a format.
func extensionOf(format string) string {
	if format == picture.JPEG {
		return ".jpg"
	}
	return "." + strings.ToLower(format)
}

// addMember adds a file, always with the same time and owner.
func addMember(archive *tar.Writer, name string, data []byte) error {
	header := &tar.Header{
		Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(data)),
		ModTime: time.Unix(0, 0),
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := archive.Write(data)
	return err
}
