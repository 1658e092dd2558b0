package augment

import (
	"fmt"
	"strings"
)

// kinds has one of each operation.
func kinds() []Operation {
	return []Operation{
		Flip{}, VerticalFlip{},
		Shift{}, Crop{}, RandomResizedCrop{},
		Rotation{}, Scale{}, Affine{},
		ColorJitter{}, Grayscale{},
		Cutout{}, RandomErasing{},
		RandAugment{}, TrivialAugment{},
	}
}

// Names are those of all operations.
func Names() []string {
	var names []string
	for _, kind := range kinds() {
		names = append(names, kind.Name())
	}
	return names
}

// Usage says for the help of commands how each operation is written, and after it the defaults, one
// a line:
//
//	crop=PADDING:MODE  4:constant
func Usage() string {
	var lines []string
	widest := 0
	for _, kind := range kinds() {
		form, _ := usage(kind)
		widest = max(widest, len(form))
	}
	for _, kind := range kinds() {
		form, defaults := usage(kind)
		lines = append(lines, fmt.Sprintf("%-*s  %s\n", widest, form, defaults))
	}
	return strings.Join(lines, "")
}
