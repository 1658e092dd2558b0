package augment

import "strings"

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

// Usage says for the help of commands how each operation is written, with the defaults, one a line:
//
//	crop=PADDING:MODE  4:constant
func Usage() string {
	var b strings.Builder
	for _, kind := range kinds() {
		b.WriteString(usage(kind))
		b.WriteByte('\n')
	}
	return b.String()
}
