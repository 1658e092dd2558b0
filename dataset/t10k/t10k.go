// Package t10k carries the MNIST test set, 10,000 images of 28×28, in the two
// gzip-compressed IDX files of its authors. README.md names them and the licence.
package t10k

import (
	_ "embed"
	"io"
	"strings"
)

//go:embed t10k-images-idx3-ubyte.gz
var images string

//go:embed t10k-labels-idx1-ubyte.gz
var labels string

// Images returns a reader of t10k-images-idx3-ubyte.gz: uint8, 10000×28×28.
func Images() io.Reader { return strings.NewReader(images) }

// Labels returns a reader of t10k-labels-idx1-ubyte.gz: uint8, 10000, values 0…9.
func Labels() io.Reader { return strings.NewReader(labels) }
