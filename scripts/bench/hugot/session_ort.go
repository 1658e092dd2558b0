//go:build ORT

package main

import (
	"fmt"
	"runtime"

	"github.com/knights-analytics/hugot"
	"github.com/knights-analytics/hugot/options"
)

// newSession is of hugot's back end onnxruntime, from the library of that path.
func newSession(library string) (session *hugot.Session, note string, err error) {
	// WithOnnxLibraryPath takes a folder with a file of one name alone.
	path := func(o *options.Options) error {
		o.ORTOptions.LibraryPath = &library
		return nil
	}
	session, err = hugot.NewORTSession(path, options.WithIntraOpNumThreads(1),
		options.WithInterOpNumThreads(1))
	return session, fmt.Sprintf("hugot %s on the same onnxruntime by onnxruntime_go %s; "+
		"`WithIntraOpNumThreads(1)`, `WithInterOpNumThreads(1)`, GOMAXPROCS %d",
		versionOf("github.com/knights-analytics/hugot"),
		versionOf("github.com/yalue/onnxruntime_go"), runtime.GOMAXPROCS(0)), err
}
