package pretrained

import (
	_ "embed"
	"strings"
)

//go:embed imagenet_classes.txt
var imageNetClasses string

// imageNet names the 1,000 classes of ImageNet's challenge in the order of their WordNet numbers,
// which is that of the logits of all networks trained on it.
func imageNet() []string {
	var names []string
	for line := range strings.Lines(imageNetClasses) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			names = append(names, line)
		}
	}
	return names
}
