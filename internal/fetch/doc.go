// Package fetch brings published files by the machine's own tools, such as pip, which knows
// the package index that it is configured to use. What is brought is held against a pinned
// sum, and nothing of it is executed.
package fetch
