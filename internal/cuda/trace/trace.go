// Package trace holds what the simulator saw of the launches of a training step: what each calls,
// on what grid of blocks, and which bytes it reads and writes. scripts/gpu/predict reads it.
package trace

import (
	"fmt"
	"slices"
	"strings"
)

// Step is a steady training step of a network.
type Step struct {
	Network  string
	Batch    int
	Launches []Launch
}

// Launch is one piece of work for the device: a kernel of Slipway's, or a library's call.
type Launch struct {
	// Name is that of the kernel or of the call.
	Name string
	// Node is the node of the graph that it computes, empty where there is none.
	Node string
	// Grid is how many blocks a kernel of Slipway's has in each direction, of Block threads each.
	Grid  [2]int
	Block int
	// Convolution and Product are set for such calls.
	Convolution *Convolution
	Product     *Product
	Touches     []Touch
	Accesses    []Access
}

// Kernel reports whether the launch is one of Slipway's kernels.
func (l Launch) Kernel() bool { return l.Block > 0 }

// Convolution is a call of cuDNN's for a convolution or one of its gradients.
type Convolution struct {
	// Pass is 0 for the convolution, 1 for the gradient of its filters, 2 for that of its input.
	// Algorithm is the number of cuDNN's for that pass.
	Pass, Algorithm                 int
	Images, Channels, Height, Width int
	Filters, KernelHeight           int
	KernelWidth                     int
	OutHeight, OutWidth, Groups     int
}

// Product is a product of matrices, Rows×Inner times Inner×Columns.
type Product struct{ Rows, Columns, Inner int }

// Touch is memory that a launch reads or writes: so many bytes of an allocation, which is known by
// its address.
type Touch struct {
	Allocation   uint64
	Offset, Size int64
	Written      bool
}

// Access is a place in a kernel's source that reads or writes memory.
type Access struct {
	// Place is an address in the simulator's file, Source the file and the line that it is of.
	Place           uint64
	Source          string
	Written, Shared bool
	// All is how often the threads came to it together, Most how often the thread did that came
	// most often. Lines is how often, of All, the 128 bytes were others than those before.
	All, Most, Lines int64
}

// Read adds to a launch what the simulator noted while it ran. The bytes that a kernel really
// touched, where they were counted, take the place of those behind its pointers.
func (l *Launch) Read(noted string) error {
	var counted []Touch
	for line := range strings.Lines(noted) {
		line = strings.TrimSuffix(line, "\n")
		kind, rest, _ := strings.Cut(line, " ")
		var err error
		switch kind {
		case "kernel":
			var name string
			_, err = fmt.Sscanf(rest, "%s %d %d %d", &name, &l.Grid[0], &l.Grid[1], &l.Block)
		case "convolution":
			c := new(Convolution)
			_, err = fmt.Sscan(rest, &c.Pass, &c.Algorithm, &c.Images, &c.Channels, &c.Height, &c.Width,
				&c.Filters, &c.KernelHeight, &c.KernelWidth, &c.OutHeight, &c.OutWidth, &c.Groups)
			l.Convolution = c
		case "product":
			l.Product = new(Product)
			_, err = fmt.Sscan(rest, &l.Product.Rows, &l.Product.Columns, &l.Product.Inner)
		case "touch":
			var t Touch
			var how string
			_, err = fmt.Sscanf(rest, "%s %x %d %d", &how, &t.Allocation, &t.Offset, &t.Size)
			t.Written = how == "w"
			if !slices.Contains(l.Touches, t) { // one memory may be two arguments
				l.Touches = append(l.Touches, t)
			}
		case "bytes":
			var t Touch
			var how string
			_, err = fmt.Sscanf(rest, "%s %x %d", &how, &t.Allocation, &t.Size)
			t.Written = how == "w"
			counted = append(counted, t)
		case "access":
			var a Access
			var how, where string
			_, err = fmt.Sscanf(rest, "%s %s %x %d %d %d", &how, &where, &a.Place, &a.All, &a.Most, &a.Lines)
			a.Written, a.Shared = how == "w", where == "s"
			l.Accesses = append(l.Accesses, a)
		case "copy": // its touches say it all
		default:
			err = fmt.Errorf("it begins with no word that is known")
		}
		if err != nil {
			return fmt.Errorf("the simulator noted %q: %w", line, err)
		}
	}
	if counted != nil {
		l.Touches = counted
	}
	return nil
}

// Bytes returns how many bytes the launch reads and writes.
func (l Launch) Bytes() (read, written int64) {
	for _, t := range l.Touches {
		if t.Written {
			written += t.Size
		} else {
			read += t.Size
		}
	}
	return read, written
}
