// Package nonblock has files of anybody's opened to be looked at: what is a pipe is refused then,
// and not waited for.
package nonblock
