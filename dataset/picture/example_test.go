package picture_test

import (
	"errors"
	"fmt"
	"log"
	"os"

	"slipway/dataset/picture"
)

func ExampleLoad() {
	photograph, err := picture.Load("testdata/pictures/jpeg-orientation-6",
		picture.Options{Channels: 3})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d channels, %d pixels high, %d wide\n", photograph.Channels, photograph.Height,
		photograph.Width)
	// Output: 3 channels, 24 pixels high, 16 wide
}

func ExampleReadConfig() {
	data, err := os.ReadFile("testdata/pictures/jpeg-orientation-6")
	if err != nil {
		log.Fatal(err)
	}
	config, err := picture.ReadConfig(data)
	if err != nil {
		log.Fatal(err)
	}
	height, width := config.Stored()
	fmt.Printf("%s, %d×%d upright, stored as %d×%d\n", config.Format, config.Height, config.Width,
		height, width)
	// Output: JPEG, 24×16 upright, stored as 16×24
}

func ExampleDecode_whatIsNoPicture() {
	_, err := picture.Decode([]byte("%PDF-1.7"), picture.Options{})
	fmt.Println(errors.Is(err, picture.ErrFormat))
	fmt.Println(err)
	// Output:
	// true
	// it begins as a PDF: PNG, JPEG, GIF, BMP, TIFF and WebP can be read; convert it to PNG or JPEG, or leave it out
}

func ExampleSizing() {
	sizing, err := picture.ParseSizing("resize 32×32 pad bicubic on #ffffff")
	if err != nil {
		log.Fatal(err)
	}
	photograph, err := picture.Load("testdata/pictures/jpeg-420", picture.Options{})
	if err != nil {
		log.Fatal(err)
	}
	sized, err := sizing.Apply(photograph)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sizing)
	fmt.Printf("%d×%d becomes %d×%d; the upper left corner is %d\n",
		photograph.Height, photograph.Width, sized.Height, sized.Width, sized.Pixels[0])
	// Output:
	// resize 32×32 pad bicubic on #ffffff
	// 35×45 becomes 32×32; the upper left corner is 255
}

// A Resizer keeps its memory, and Out its pixels: nothing is allocated from the second picture on.
func ExampleResizer() {
	photograph, err := picture.Load("testdata/pictures/jpeg-420", picture.Options{})
	if err != nil {
		log.Fatal(err)
	}
	var resizer picture.Resizer
	var out picture.Image
	box := picture.Box{Left: 10.5, Top: 5, Right: 40.25, Bottom: 30}
	if err := resizer.Resize(&out, photograph, box, 16, 16, picture.Bilinear); err != nil {
		log.Fatal(err)
	}
	fmt.Println(out.Channels, out.Height, out.Width, len(out.Pixels))
	// Output: 3 16 16 768
}
