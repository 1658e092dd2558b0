// Package picture makes pixels of one picture file, the same that Pillow makes of it.
package picture
