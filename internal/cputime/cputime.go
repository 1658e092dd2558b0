// Package cputime says how long this process has computed. A test that bounds the time of something
// measures it so: a clock also counts what else the machine does.
package cputime
