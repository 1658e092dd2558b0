// Site makes a site of the documents: see docs/README.md, whose sections are its menu.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

const usage = `site makes a site of the documents, with Hugo.

  site [flags]

The pages are README.md, those of docs/, and all that these point to; the menu is that of
docs/README.md. What the commands print for -h are its pages of reference. Every link of what was made
is followed. make site brings Hugo and calls it.

Exit status: 0 made; 1 a page cannot be made, or a link leads nowhere; 2 wrong usage.

Flags:
`

func main() {
	flags := flag.NewFlagSet("site", flag.ContinueOnError)
	output := flags.String("o", "", "`folder` that the site is written to, new or made by site before")
	commands := flags.String("commands", "bin", "`folder` of the built commands")
	hugo := flags.String("hugo", "hugo", "Hugo's `program`")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	switch err := flags.Parse(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		os.Exit(2)
	case *output == "" || flags.NArg() > 0:
		fmt.Fprintln(os.Stderr, "site: give the folder to write to by -o, and nothing else")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *output, *commands, *hugo); err != nil {
		fmt.Fprintf(os.Stderr, "site: %v\n", err)
		os.Exit(1)
	}
}

// run makes the site of the project in the working folder.
func run(ctx context.Context, output, commands, hugo string) error {
	source, err := os.MkdirTemp("", "site-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(source)
	pages, err := collect(".", "README.md", "docs/README.md")
	if err != nil {
		return err
	}
	menu, err := readMenu("docs/README.md")
	if err != nil {
		return err
	}
	reference, err := readReference(ctx, commands)
	if err != nil {
		return err
	}
	if err := writeSource(source, pages, append(menu, reference.section())); err != nil {
		return err
	}
	if err := reference.write(filepath.Join(source, "content")); err != nil {
		return err
	}
	links, err := build(ctx, hugo, source, output)
	if err != nil {
		return err
	}
	fmt.Printf("site: %d pages, %d links that all lead somewhere: %s\n",
		len(pages.texts)+len(reference), links, filepath.Join(output, "index.html"))
	return nil
}
