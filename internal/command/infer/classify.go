package infer

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"slipway/dataset"
	"slipway/dataset/picture"
	"slipway/infer"
	"slipway/infer/port"
	"slipway/internal/atomicfile"
	"slipway/internal/display"
)

// standardInput is the operand that stands for a picture on standard input.
const standardInput = "-"

// answered is what the model says of one picture.
type answered struct {
	File string      `json:"file"`
	Top  []candidate `json:"top,omitempty"`
	// Labels are those told by a model that gives any number of them, nil of another one; all has
	// each label in the order of the scores.
	Labels *[]candidate `json:"labels,omitempty"`
	all    []candidate
}

type candidate struct {
	Class       int     `json:"class"`
	Name        string  `json:"name"`
	Probability float64 `json:"probability"`
}

// classify says of each picture what the model takes it for.
func classify(ctx context.Context, o *options, stdin io.Reader, stdout, stderr io.Writer) error {
	if err := o.readLabels(); err != nil {
		return err
	}
	model, err := loadModel(o.model, o.output, o.pixels, o.reader())
	if err != nil {
		return err
	}
	defer model.model.Close()
	several, err := o.givesLabels(model)
	if err != nil {
		return err
	}
	files, err := picturesOf(o.operands)
	if err != nil {
		return err
	}
	reading, err := infer.PictureOptions(model.model, model.record,
		o.pictures.Apply(dataset.Options{}))
	if err != nil {
		return err
	}
	s := &session{options: o, loaded: model}
	runtime, _, err := s.openFirst("infer", stderr, func(name string) (infer.Runtime, error) {
		return s.open(ctx, name, s.batch)
	})
	if err != nil {
		return err
	}
	c := &classifier{session: s, runtime: runtime, reading: reading, stdin: stdin, scale: model.scale,
		several: several}
	answers, unread, err := c.all(ctx, files)
	if err := errors.Join(err, runtime.Close()); err != nil {
		return err
	}
	for _, note := range runtime.Info().Notes {
		fmt.Fprintf(stderr, "infer: note: %s\n", note)
	}
	if model.scale.Independent() && !several {
		fmt.Fprintf(stderr, "infer: note: %v\n", model.scale)
	}
	for _, err := range unread {
		fmt.Fprintf(stderr, "infer: %s\n", display.Printable(err.Error()))
	}
	if len(answers) == 0 {
		return fmt.Errorf("none of the %s could be read", display.Count(len(files), "file"))
	}
	if err := o.writeAnswers(stdout, answers); err != nil {
		return err
	}
	if len(unread) > 0 && !o.pictures.SkipDamaged() {
		return fmt.Errorf("%d of %d files could not be read", len(unread), len(files))
	}
	return nil
}

// picturesOf lists the files that the operands name: a folder stands for all in it, but
// for what systems and people leave among pictures.
func picturesOf(operands []string) ([]string, error) {
	var files []string
	for _, operand := range operands {
		info, err := os.Stat(operand)
		if operand == standardInput || err == nil && !info.IsDir() {
			files = append(files, operand)
			continue
		}
		switch {
		case err != nil && dataset.IsWord(operand):
			return nil, &usageError{fmt.Errorf(
				"unexpected argument %q: a set is named with -data, and there is no picture of that name",
				operand)}
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("there is no picture or folder %q", operand)
		case err != nil:
			return nil, err
		}
		before := len(files)
		err = filepath.WalkDir(operand, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case path != operand && dataset.PassedOver(entry.Name()) && entry.IsDir():
				return fs.SkipDir
			case entry.IsDir() || dataset.PassedOver(entry.Name()):
				return nil
			}
			files = append(files, path)
			return nil
		})
		if err != nil {
			return nil, err
		}
		if len(files) == before {
			return nil, fmt.Errorf("%s: there are no pictures in the folder", operand)
		}
	}
	return files, nil
}

// classifier runs pictures through a model, as many at a time as a batch has.
type classifier struct {
	session *session
	runtime infer.Runtime
	reading dataset.Options
	scale   infer.Scale
	several bool // the model gives any number of labels
	stdin   io.Reader
	names   []string
}

// all returns the answers in the order of the files. What cannot be read is no answer.
func (c *classifier) all(ctx context.Context, files []string) (answers []answered, unread []error,
	err error) {
	size := cmp.Or(c.session.batch, infer.BatchOf(c.session.loaded.model))
	for part := range slices.Chunk(files, size) {
		var images []*picture.Image
		var names []string
		for _, file := range part {
			if err := ctx.Err(); err != nil {
				return nil, nil, err
			}
			image, err := c.read(file)
			if err != nil {
				unread = append(unread, err)
				continue
			}
			images, names = append(images, image), append(names, file)
		}
		if len(images) == 0 {
			continue
		}
		some, err := c.answer(ctx, images, names)
		if err != nil {
			return nil, nil, err
		}
		answers = append(answers, some...)
	}
	return answers, unread, nil
}

func (c *classifier) read(file string) (image *picture.Image, err error) {
	options := picture.Options{Channels: c.reading.Channels}
	if file == standardInput {
		if image, err = picture.Read(c.stdin, options); err != nil {
			err = fmt.Errorf("standard input: %w", err)
		}
	} else {
		image, err = picture.Load(file, options)
	}
	if err != nil || c.reading.Sizing == nil {
		return image, err
	}
	return c.reading.Sizing.Apply(image)
}

// answer runs one batch of images, which must be of one size.
func (c *classifier) answer(ctx context.Context, images []*picture.Image,
	files []string) ([]answered, error) {
	first := images[0]
	set := &dataset.Set{Name: files[0], Channels: first.Channels, Height: first.Height,
		Width: first.Width, Classes: 1, Labels: make([]int32, len(images))}
	indices := make([]int, len(images))
	for i, image := range images {
		if image.Channels != first.Channels || image.Height != first.Height ||
			image.Width != first.Width {
			return nil, fmt.Errorf(
				"%s is %d×%d×%d, %s %d×%d×%d; the model does not record a size for pictures: give one with -resize",
				files[0], first.Channels, first.Height, first.Width, files[i], image.Channels, image.Height,
				image.Width)
		}
		set.Images = append(set.Images, image.Pixels...)
		indices[i] = i
	}
	batch := infer.Batch{N: len(images), C: set.Channels, H: set.Height, W: set.Width,
		Pixels: make([]float32, len(set.Images))}
	if err := set.Fill(batch.Pixels, nil, indices, c.session.loaded.pixels); err != nil {
		return nil, err
	}
	scores, err := c.runtime.Run(ctx, batch)
	switch {
	case err != nil && ctx.Err() == nil && c.reading.Sizing == nil:
		return nil, fmt.Errorf("%s: %w (-resize brings pictures to the model's size)", files[0], err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", files[0], err)
	}
	if c.names == nil {
		if c.names, err = c.session.classNames(scores.K, nil); err != nil {
			return nil, err
		}
	}
	var answers []answered
	for i, file := range files {
		if c.several {
			labelled, err := c.labels(file, scores.Row(i))
			if err != nil {
				return nil, err
			}
			answers = append(answers, labelled)
			continue
		}
		answers = append(answers, answered{File: file, Top: c.best(scores.Row(i))})
	}
	return answers, nil
}

// best are the classes with the highest scores, with their probabilities, which are the scores
// themselves where the model ends in what makes them.
func (c *classifier) best(scores []float32) []candidate {
	probabilities := slices.Clone(scores)
	c.scale.Probabilities(probabilities)
	var best []candidate
	for _, class := range port.Best(nil, scores, max(c.session.top, 1)) {
		best = append(best, candidate{class, c.names[class], float64(probabilities[class])})
	}
	return best
}

// writeAnswers prints a line a picture, and writes the table of -o.
func (o *options) writeAnswers(stdout io.Writer, answers []answered) error {
	var out bytes.Buffer
	if o.json {
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		for _, answer := range answers {
			if err := encoder.Encode(answer); err != nil {
				return err
			}
		}
	} else {
		for _, answer := range answers {
			words := []string{display.Printable(answer.File)}
			for _, candidate := range answer.told() {
				words = append(words, fmt.Sprintf("%s %.4f", display.Printable(candidate.Name),
					candidate.Probability))
			}
			if len(words) == 1 {
				words = append(words, "none")
			}
			fmt.Fprintln(&out, strings.Join(words, "\t"))
		}
	}
	if o.predictions != "" {
		if err := atomicfile.Write(o.predictions, func(w io.Writer) error {
			return writeAnswerTable(w, answers)
		}); err != nil {
			return fmt.Errorf("-o: %w", err)
		}
	}
	if _, err := stdout.Write(out.Bytes()); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}

func writeAnswerTable(w io.Writer, answers []answered) error {
	if answers[0].Labels != nil {
		return writeLabelTable(w, answers)
	}
	table := csv.NewWriter(w)
	rows := [][]string{{"file", "rank", "class", "name", "probability"}}
	for _, answer := range answers {
		for rank, candidate := range answer.Top {
			rows = append(rows, []string{display.Cell(answer.File), strconv.Itoa(rank + 1),
				strconv.Itoa(candidate.Class), display.Cell(candidate.Name),
				strconv.FormatFloat(candidate.Probability, 'g', 7, 64)})
		}
	}
	return table.WriteAll(rows)
}
