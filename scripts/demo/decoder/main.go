//go:build js && wasm

// Command decoder is package picture in a browser: the same code that reads pictures for
// training and for infer, so that the page feeds a network the same bytes. scripts/demo/build
// compiles it to WebAssembly; graphs/demo/decoder.mjs calls it.
//
// Once it runs, it has set the function slipwaySized of the global object:
//
//	slipwaySized(file, channels, sizing)
//
// takes a file's bytes (Uint8Array), the channels that are wanted (1, 3, or 0 for the file's own)
// and a sizing as picture.ParseSizing reads it, empty for the picture's own size. It returns an
// object with channels, height, width and pixels (Uint8Array, C×H×W), or a text that says what is
// wrong with the file.
package main

import (
	"fmt"
	"syscall/js"

	"slipway/dataset/picture"
)

func main() {
	js.Global().Set("slipwaySized", js.FuncOf(answer))
	select {} // a program that ended could not be called
}

// answer is slipwaySized. The decoder's panics are package picture's to recover; a caller who does
// not keep to the types above has one here.
func answer(_ js.Value, args []js.Value) any {
	data := make([]byte, args[0].Length())
	js.CopyBytesToGo(data, args[0])
	sized, err := sized(data, args[1].Int(), args[2].String())
	if err != nil {
		return err.Error()
	}
	pixels := js.Global().Get("Uint8Array").New(len(sized.Pixels))
	js.CopyBytesToJS(pixels, sized.Pixels)
	return map[string]any{
		"channels": sized.Channels, "height": sized.Height, "width": sized.Width, "pixels": pixels,
	}
}

// sized is what infer does with a picture before it feeds its pixels.
func sized(data []byte, channels int, text string) (*picture.Image, error) {
	image, err := picture.Decode(data, picture.Options{Channels: channels})
	if err != nil || text == "" {
		return image, err
	}
	sizing, err := picture.ParseSizing(text)
	if err != nil {
		return nil, fmt.Errorf("slipway.sizing: %w", err)
	}
	return sizing.Apply(image)
}
