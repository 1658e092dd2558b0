package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"slipway/dataset"
	"slipway/internal/cli"
	"slipway/internal/display"
)

const cacheUsage = `dataset cache lists the files of decoded pictures that training keeps where
a set does not fit into memory: how large they are, and when they were last used. -clear
removes them, and what killed processes have left of them, and nothing else. They are made
again when they are needed.

Examples:
  dataset cache
  dataset cache -clear
  dataset cache -clear -older 30d

Flags:
`

// cacheOptions is what the command line of dataset cache asks for.
type cacheOptions struct {
	dir, age string
	clear    bool
	older    time.Duration // 0 for files of any age
}

func parseCache(args []string, stdout io.Writer) (*cacheOptions, error) {
	o := &cacheOptions{}
	flags := cli.NewFlagSet("dataset cache", cacheUsage, stdout)
	flags.StringVar(&o.dir, "picture-cache", "",
		"`folder` of the files, as train -picture-cache has it; that of the user if empty")
	flags.BoolVar(&o.clear, "clear", false, "remove the files")
	flags.StringVar(&o.age, "older", "",
		"only files that were not used for this `time`: 12h, 30d, 4w")
	if err := parse(flags, args); err != nil {
		return nil, err
	}
	given := cli.Given(flags)
	switch {
	case given["picture-cache"] && o.dir == "":
		return nil, usageError{errors.New("-picture-cache is empty; give a folder")}
	case o.dir == dataset.NoPictureCache:
		return nil, usageError{fmt.Errorf("-picture-cache %s keeps no files; give a folder", o.dir)}
	case given["older"]:
		var err error
		if o.older, err = cli.ParseAge(o.age); err != nil {
			return nil, usageError{fmt.Errorf("-older: %w", err)}
		}
	}
	return o, nil
}

func cache(ctx context.Context, args []string, stdout io.Writer) error {
	o, err := parseCache(args, stdout)
	if err != nil {
		return err
	}
	if o.dir != "" {
		if _, err := os.Stat(o.dir); err != nil {
			return fmt.Errorf("-picture-cache: %w", err)
		}
	}
	dir, err := dataset.PictureCacheDir(dataset.Options{PictureCache: o.dir})
	if err != nil {
		return fmt.Errorf("no cache folder: %w; set HOME or XDG_CACHE_HOME, or give -picture-cache",
			err)
	}
	files, err := dataset.ListPictureCache(dir)
	if err != nil {
		return err
	}
	files = o.chosen(files)
	if len(files) == 0 {
		what := "no decoded pictures"
		if o.older > 0 {
			what += " that were not used for " + o.age
		}
		_, err := fmt.Fprintf(stdout, "%s in %s\n", what, dir)
		return err
	}
	if o.clear {
		return clearCache(ctx, stdout, dir, files)
	}
	return listCache(stdout, dir, files)
}

// chosen are the files that are old enough.
func (o *cacheOptions) chosen(files []dataset.CachedPictures) []dataset.CachedPictures {
	var chosen []dataset.CachedPictures
	for _, file := range files {
		if time.Since(file.Used) >= o.older {
			chosen = append(chosen, file)
		}
	}
	return chosen
}

func listCache(stdout io.Writer, dir string, files []dataset.CachedPictures) error {
	var sum int64
	for _, file := range files {
		sum += file.Bytes
		when := "used"
		if file.Leftover {
			when = "left"
		}
		_, err := fmt.Fprintf(stdout, "%9s  %s %s  %s\n", display.Bytes(file.Bytes), when,
			file.Used.Format("2006-01-02 15:04"), file.Path)
		if err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(stdout, "%9s  in %s in %s\n", display.Bytes(sum),
		display.Count(len(files), "file"), dir)
	return err
}

// clearCache removes the files. One that cannot be removed keeps none of the others.
func clearCache(ctx context.Context, stdout io.Writer, dir string,
	files []dataset.CachedPictures) error {
	var freed int64
	var kept []error
	removed := 0
	for _, file := range files {
		if err := ctx.Err(); err != nil {
			kept = append(kept, err)
			break
		}
		if file.Unfinished() {
			fmt.Fprintf(stdout, "kept %s: it is being written, or was less than an hour ago\n",
				file.Path)
			continue
		}
		if err := file.Remove(); err != nil {
			kept = append(kept, err)
			continue
		}
		removed++
		freed += file.Bytes
	}
	_, err := fmt.Fprintf(stdout, "%s freed: %s removed in %s\n", display.Bytes(freed),
		display.Count(removed, "file"), dir)
	return errors.Join(append(kept, err)...)
}
