// Package serve answers about pictures over HTTP: the Open Inference Protocol for programs, and a
// picture posted as it is for everybody else.
package serve
