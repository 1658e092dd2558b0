package builder

// The native engine keeps feature maps channels last (N×H×W×C), so that a
// vector register holds neighbouring channels. Its parameters follow: a
// convolution's weight is O×KH×KW×I, and a dense layer that follows a Flatten
// has its columns in the order H×W×C of the map that was flattened.

// arrangement says where each value of a parameter lies in an engine. order[i]
// is the place in the public layout of value i; nil means the same place.
type arrangement struct {
	shape Shape
	order []int32
}

// arrangements returns that of every parameter, in the order of Parameters.
func (n *Network) arrangements(engine string) []arrangement {
	var all []arrangement
	flattened := Shape(nil) // the map whose values the current vector holds
	for _, node := range n.nodes {
		for _, parameter := range node.Parameters {
			a := arrangement{shape: parameter.Shape}
			if engine == EngineNative {
				switch {
				case node.Layer.Kind() == "Conv2D" && len(parameter.Shape) == 4:
					a = channelsLastFilters(parameter.Shape)
				case node.Layer.Kind() == "Dense" && len(parameter.Shape) == 2 && flattened != nil:
					a.order = channelsLastColumns(parameter.Shape[0], flattened)
				}
			}
			all = append(all, a)
		}
		switch node.Layer.Kind() {
		case "Flatten":
			if len(node.Input) == 3 {
				flattened = node.Input
			}
		case "Dense":
			flattened = nil
		}
	}
	return all
}

// channelsLastFilters arranges O×I×KH×KW as O×KH×KW×I.
func channelsLastFilters(shape Shape) arrangement {
	filters, channels, height, width := shape[0], shape[1], shape[2], shape[3]
	a := arrangement{shape: Shape{filters, height, width, channels}}
	a.order = make([]int32, 0, shape.Elements())
	for o := range filters {
		for position := range height * width {
			for i := range channels {
				a.order = append(a.order, int32((o*channels+i)*height*width+position))
			}
		}
	}
	return a
}

// channelsLastColumns arranges rows of C×H×W values as rows of H×W×C values.
func channelsLastColumns(rows int, image Shape) []int32 {
	channels, area := image[0], image[1]*image[2]
	order := make([]int32, 0, rows*channels*area)
	for row := range rows {
		for position := range area {
			for c := range channels {
				order = append(order, int32((row*channels+c)*area+position))
			}
		}
	}
	return order
}
