package picture_test

import (
	"fmt"
	"strings"
	"testing"

	"slipway/dataset/picture"
)

func TestResizeGivesPillowsPixels(t *testing.T) {
	source := goldenUnder(t, "resize/")["source"]
	var resizer picture.Resizer
	var again picture.Image
	for name, want := range goldenUnder(t, "resize/") {
		if name == "source" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			parts := strings.Split(name, "/")
			var height, width int
			var box picture.Box
			if _, err := fmt.Sscan(parts[0]+" "+parts[1], &height, &width); err != nil {
				t.Fatal(err)
			}
			if _, err := fmt.Sscanf(parts[3], "%g,%g,%g,%g", &box.Left, &box.Top, &box.Right, &box.Bottom); err != nil {
				t.Fatal(err)
			}
			filter, err := picture.ParseFilter(parts[2])
			if err != nil {
				t.Fatal(err)
			}
			if err := resizer.Resize(&again, source, box, height, width, filter); err != nil {
				t.Fatal(err)
			}
			same(t, &again, want)
			if box == source.Bounds() {
				got, err := picture.Resize(source, height, width, filter)
				if err != nil {
					t.Fatal(err)
				}
				same(t, got, want)
			}
		})
	}
}
