package experiment

import (
	"flag"
	"path/filepath"
)

// where is which runs are meant: those of the studies, or those of their short form,
// which have a folder of their own.
type where struct {
	runs  string
	quick bool
}

// define defines the flags; quick explains -quick.
func (w *where) define(flags *flag.FlagSet, quick string) {
	flags.StringVar(&w.runs, "runs", "",
		"`folder` of the studies' runs (runs/studies; with -quick runs/studies-quick)")
	flags.BoolVar(&w.quick, "quick", false, quick)
}

// take fills in the folder that was not given.
func (w *where) take() {
	switch {
	case w.runs != "":
	case w.quick:
		w.runs = filepath.Join("runs", "studies-quick")
	default:
		w.runs = filepath.Join("runs", "studies")
	}
}
