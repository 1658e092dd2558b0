package dataset

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"slipway/dataset"
	"slipway/internal/display"
)

const (
	// named is how many names a line has before it is cut off, without -v.
	named = 5
	// uneven is how many times the smallest class the largest may be before that is noted.
	uneven = 3
)

// report prints what an inspection came to.
type report struct {
	out        io.Writer
	inspection *dataset.Inspection
	all        bool // cut nothing off
}

// print prints what a PyTorch experiment prints of its data, statistics, and what is wrong.
func (r *report) print(ctx context.Context) error {
	source := r.inspection.Source
	info := source.Info()
	labels, err := dataset.AllLabels(ctx, source)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "data:   %s\n", display.Printable(info.Name))
	if info.Title != "" {
		fmt.Fprintf(&b, "known:  %s: %s; %s\n", info.Title, info.Authors, info.Licence)
	} else if info.Licence != "" {
		fmt.Fprintf(&b, "terms:  %s\n", display.Printable(info.Licence))
	}
	if len(labels) > 0 {
		r.writeImages(&b, info, labels)
		counts, none := info.Counts(labels)
		if info.MultiLabel {
			r.writeLabels(&b, info, counts, none)
		} else {
			r.writeClasses(&b, info.Labels(info.Classes), counts)
		}
	}
	r.writeFiles(&b)
	_, err = r.out.Write(b.Bytes())
	return err
}

// writeImages writes shapes, levels and sizes.
func (r *report) writeImages(b *bytes.Buffer, info dataset.Info, labels []int32) {
	sizes := differentSizes(r.inspection.Sizes)
	if info.Height > 0 {
		fmt.Fprintf(b, "images: [%d, %d, %d, %d] uint8\n", info.Images, info.Channels, info.Height,
			info.Width)
	} else {
		fmt.Fprintf(b, "images: %d of %s, with %s\n", info.Images, display.Count(len(sizes),
			"size"),
			display.Count(info.Channels, "channel"))
	}
	if info.MultiLabel {
		fmt.Fprintf(b, "labels: any of %d labels an image\n", info.Classes)
	} else {
		fmt.Fprintf(b, "labels: [%d] int32, %d classes, labels are %d to %d\n", len(labels),
			info.Classes,
			slices.Min(labels), slices.Max(labels))
	}
	if levels := r.inspection.Levels; levels != nil {
		writeLevels(b, "pixels", levels.Together(), 0)
		for channel := range levels.Channels() {
			if levels.Channels() > 1 {
				writeLevels(b, channelName(channel, levels.Channels()), levels, channel)
			}
		}
	}
	switch {
	case len(sizes) == 0:
	case len(sizes) == 1:
		fmt.Fprintf(b, "sizes:  all pictures are %v in their files (height × width)\n", sizes[0])
	default:
		all := slices.SortedFunc(slices.Values(r.inspection.Sizes), bySize)
		fmt.Fprintf(b,
			"sizes:  %d different in the files (height × width): smallest %v, median %v, largest %v\n",
			len(sizes), all[0], all[(len(all)-1)/2], all[len(all)-1])
	}
	r.writeFormats(b)
	if info.Height == 0 {
		fmt.Fprintln(b, "note: training needs pictures of one size: give it -resize")
	}
}

// oddOnes is how many files of a format that others are not of are named: what is one of
// a few among photographs may be a sign that a photograph is not there.
const oddOnes = 10

// writeFormats writes of how many pictures the files are of each format, the most frequent
// first, and the names where they are few.
func (r *report) writeFormats(b *bytes.Buffer) {
	names := make(map[string][]string)
	files := dataset.FileNames(r.inspection.Source)
	for i, format := range r.inspection.Formats {
		names[format] = append(names[format], files[i])
	}
	if len(names) < 2 {
		return
	}
	formats := slices.SortedFunc(maps.Keys(names), func(a, b string) int {
		return cmp.Or(len(names[b])-len(names[a]), strings.Compare(a, b))
	})
	var told []string
	for _, format := range formats {
		text := fmt.Sprintf("%d %s", len(names[format]), format)
		if n := len(names[format]); n <= oddOnes && n < len(names[formats[0]]) {
			text += " (" + display.Printable(strings.Join(names[format], ", ")) + ")"
		}
		told = append(told, text)
	}
	fmt.Fprintf(b, "files:  %s\n", strings.Join(told, ", "))
}

// writeLevels writes a channel's statistics, in levels and on the scale 0…1 that -pixels
// takes.
func writeLevels(b *bytes.Buffer, name string, levels *dataset.Levels, channel int) {
	lowest, highest := levels.Range(channel)
	means, deviations := levels.MeansAndDeviations()
	mean, deviation := means[channel], deviations[channel]
	fmt.Fprintf(b, "%-7s min %d, max %d, mean %.4f, std %.4f; of 1: mean %.4f, std %.4f\n",
		name+":",
		lowest, highest, 255*mean, 255*deviation, mean, deviation)
}

func channelName(channel, channels int) string {
	if channels == 3 {
		return []string{"red", "green", "blue"}[channel]
	}
	return fmt.Sprintf("ch. %d", channel)
}

// writeClasses writes how many images each class has, and how even that is.
func (r *report) writeClasses(b *bytes.Buffer, names []string, counts []int) {
	images, largest, smallest := 0, 0, -1
	var empty, single []string
	fmt.Fprintf(b, "label  images\n")
	for label, n := range counts {
		images += n
		if n > counts[largest] {
			largest = label
		}
		if n > 0 && (smallest < 0 || n < counts[smallest]) {
			smallest = label
		}
		switch n {
		case 0:
			empty = append(empty, names[label])
		case 1:
			single = append(single, names[label])
		}
	}
	for label, n := range counts {
		fmt.Fprintf(b, "%5d  %6d  %5.2f %%", label, n, 100*float64(n)/float64(images))
		if name := names[label]; name != fmt.Sprint(label) {
			fmt.Fprintf(b, "  %s", display.Printable(name))
		}
		fmt.Fprintln(b)
	}
	if len(counts)-len(empty) < 2 {
		fmt.Fprintln(b, "note: all images are of one class: there is nothing to tell apart")
		return
	}
	ratio := float64(counts[largest]) / float64(counts[smallest])
	share := 100 * float64(counts[largest]) / float64(images)
	fmt.Fprintf(b, "balance: largest class %s (%s), smallest %s (%s): %.1f to 1\n",
		display.Printable(names[largest]), display.Count(counts[largest], "image"),
		display.Printable(names[smallest]), display.Count(counts[smallest], "image"), ratio)
	fmt.Fprintf(b,
		"         always answering %s would be right for %.2f %%: a model has to beat that\n",
		display.Printable(names[largest]), share)
	if ratio > uneven {
		fmt.Fprintln(b,
			"note: the classes are uneven: "+
				"the accuracy says little of the small ones; look at each class")
	}
	r.writeSmall(b, "no image", empty)
	r.writeSmall(b, "a single image", single)
}

// writeFiles writes which files are damaged, all of them, and how many were passed over.
func (r *report) writeFiles(b *bytes.Buffer) {
	i := r.inspection
	if len(i.Damaged) > 0 {
		fmt.Fprintf(b, "damaged: %d of %s\n", len(i.Damaged), display.Count(i.Files, "file"))
		for _, err := range i.Damaged {
			fmt.Fprintf(b, "  %s\n", display.Printable(err.Error()))
		}
	} else if i.Files > 0 {
		fmt.Fprintf(b, "damaged: none of %s\n", display.Count(i.Files, "file"))
	}
	if i.PassedOver == 0 {
		return
	}
	fmt.Fprintf(b, "passed over: %s, no pictures by their names", display.Count(i.PassedOver,
		"file"))
	switch {
	case !r.all && len(i.PassedNames) > 0:
		fmt.Fprintln(b, "; -v names them")
		return
	case r.all && len(i.PassedNames) > 0:
		fmt.Fprint(b, ":")
	}
	fmt.Fprintln(b)
	for _, name := range i.PassedNames {
		if r.all {
			fmt.Fprintf(b, "  %s\n", display.Printable(name))
		}
	}
}

// writeSmall names the classes that have so few images.
func (r *report) writeSmall(b *bytes.Buffer, has string, classes []string) {
	switch n := len(classes); n {
	case 0:
	case 1:
		fmt.Fprintf(b, "note: 1 class has %s: %s\n", has, r.list(classes))
	default:
		fmt.Fprintf(b, "note: %d classes have %s: %s\n", n, has, r.list(classes))
	}
}

// list writes names between commas, the first of them where not all are asked for.
func (r *report) list(names []string) string {
	shown := names
	if !r.all {
		shown = names[:min(len(names), named)]
	}
	text := display.Printable(strings.Join(shown, ", "))
	if left := len(names) - len(shown); left > 0 {
		text += fmt.Sprintf(" and %d more", left)
	}
	return text
}

// differentSizes has each size once, the smallest first.
func differentSizes(sizes []dataset.PictureSize) []dataset.PictureSize {
	return slices.Compact(slices.SortedFunc(slices.Values(sizes), bySize))
}

// bySize orders sizes by how many pixels they have.
func bySize(a, b dataset.PictureSize) int {
	return cmp.Or(cmp.Compare(a.Height*a.Width, b.Height*b.Width), cmp.Compare(a.Height, b.Height))
}
