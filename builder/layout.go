package builder

// The native engine keeps feature maps channels last (N×H×W×C), so that a
// vector register holds neighbouring channels. Its parameters follow: a
// convolution's weight is O×KH×KW×I, and a dense layer that reads a flattened
// map has its columns in the order H×W×C.

// arrangement says where each value of a parameter lies in an engine: value i is
// at(i) in the public layout; nil means the same place.
type arrangement struct {
	shape Shape
	// filtersLast says that the public layout's first dimension is the last one.
	filtersLast bool
	at          func(i int) int
}

// arranged is a layer whose tensors the native engine stores in another order.
type arranged interface {
	arrange(tensor TensorSpec) arrangement
}

// arrangements returns that of every tensor, in the order of Tensors.
func (n *Network) arrangements(engine string) []arrangement {
	columns := make(map[int]Shape) // by dense layer: the map that it reads flattened, channels last
	for i := range n.nodes {
		if dense, ok := n.flattensChannelsLast(i); ok {
			columns[dense] = n.nodes[i].Input
		}
	}
	var all []arrangement
	for i, node := range n.nodes {
		for _, tensor := range node.Tensors {
			a := arrangement{shape: tensor.Shape}
			if engine == EngineNative {
				image, flattened := columns[i]
				if layer, ok := node.Layer.(arranged); ok {
					a = layer.arrange(tensor)
				} else if len(tensor.Shape) == 2 && flattened {
					a.at = channelsLastColumns(image)
				}
			}
			all = append(all, a)
		}
	}
	return all
}

// flattensChannelsLast reports whether node i is a Flatten that the native
// engine need not rearrange, since a dense layer alone reads its output, rectified at
// most, and can have its columns in that order. It returns that layer's place.
func (n *Network) flattensChannelsLast(i int) (dense int, ok bool) {
	if n.nodes[i].Layer.Kind() != (Flatten{}).Kind() || len(n.nodes[i].Input) != 3 {
		return 0, false
	}
	consumers := n.consumers()
	for at := i; len(consumers[at]) == 1; at = dense {
		dense = consumers[at][0]
		switch n.nodes[dense].Layer.Kind() {
		case (Dense{}).Kind():
			return dense, true
		case (ReLU{}).Kind():
		default:
			return dense, false
		}
	}
	return dense, false
}

// channelsLastFilters arranges O×I×KH×KW as O×KH×KW×I.
func channelsLastFilters(shape Shape) arrangement {
	filters, channels, height, width := shape[0], shape[1], shape[2], shape[3]
	area := height * width
	return arrangement{shape: Shape{filters, height, width, channels}, at: func(i int) int {
		c, position, o := i%channels, i/channels%area, i/channels/area
		return (o*channels+c)*area + position
	}}
}

// channelsLastColumns arranges rows of C×H×W values as rows of H×W×C values.
func channelsLastColumns(image Shape) func(i int) int {
	channels, area := image[0], image[1]*image[2]
	return func(i int) int {
		c, position, row := i%channels, i/channels%area, i/channels/area
		return (row*channels+c)*area + position
	}
}
