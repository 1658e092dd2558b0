package train

import (
	"fmt"
	"strings"

	"slipway/dataset"
	"slipway/internal/cli"
	"slipway/internal/display"
)

const (
	// maxCompared is how many bytes of images are compared without being asked: some
	// tenths of a second.
	maxCompared = 1 << 30
	// sharedNamed is how many of the shared images are named.
	sharedNamed = 3
)

// sharedNote says how many test images are in the training set, too. It is empty where
// none are, and where that is not known or would take long.
func sharedNote(training, test dataset.Source) string {
	if test == nil {
		return ""
	}
	trained, err := dataset.ContentsOf(training)
	if err != nil {
		return ""
	}
	tested, err := dataset.ContentsOf(test)
	if err != nil || trained.Bytes()+tested.Bytes() > maxCompared {
		return ""
	}
	shared, err := tested.Shared(trained)
	if err != nil || len(shared) == 0 {
		return ""
	}
	var names []string
	for _, image := range shared[:min(len(shared), sharedNamed)] {
		names = append(names, display.Printable(tested.ImageName(image.Index)))
	}
	if len(shared) > sharedNamed {
		names = append(names, "…")
	}
	verb := "are"
	if len(shared) == 1 {
		verb = "is"
	}
	return fmt.Sprintf("note: %s of %s test images %s in the training set, too: %s; "+
		"%s lists them",
		display.Thousands(len(shared)), display.Thousands(tested.Len()), verb, strings.Join(names,
			", "), cli.ShellLine(cli.Called("dataset show")...))
}
