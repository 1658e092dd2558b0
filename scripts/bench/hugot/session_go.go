//go:build !ORT

package main

import (
	"fmt"
	"runtime"

	"github.com/knights-analytics/hugot"
)

// newSession is of hugot's back end that is pure Go. It takes no option for threads: GOMAXPROCS
// bounds them.
func newSession(string) (session *hugot.Session, note string, err error) {
	session, err = hugot.NewGoSession()
	return session, fmt.Sprintf("hugot %s on GoMLX %s's simplego, pure Go; GOMAXPROCS %d",
		versionOf("github.com/knights-analytics/hugot"), versionOf("github.com/gomlx/gomlx"),
		runtime.GOMAXPROCS(0)), err
}
