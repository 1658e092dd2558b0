// Package scaling says what several ranks cost: it measures what an exchange of two ranks takes,
// and predicts by a model, the α–β model of Hockney (1994), what a step takes on more of them.
//
// A prediction is no measurement. The model knows of no ranks that wait for the slowest, and of no
// cables that several pairs share unless all of them exchanged while it was measured. That a shard
// of few images computes for longer than its part of a batch is in it as far as a step has a part
// that does not depend on the images.
package scaling

import (
	"math/bits"

	"slipway/builder"
	"slipway/internal/collective"
)

// Link is what a message between two ranks costs that send to each other at the same time.
type Link struct {
	// Latency, α, is in seconds; PerByte, β, in seconds of a byte each way.
	Latency, PerByte float64
}

// Exchange is the time in which each of the two has the other's bytes.
func (l Link) Exchange(bytes float64) float64 { return l.Latency + l.PerByte*bytes }

// Fit returns the link that comes nearest to what was measured: it makes the sum of the squared
// relative errors small, so that short messages count as much as long ones.
func Fit(points []Point) Link {
	// Least squares of α/t + β·n/t = 1.
	var aa, ab, bb, a, b float64
	for _, p := range points {
		x, y := 1/p.Least, float64(p.Bytes)/p.Least
		aa, ab, bb, a, b = aa+x*x, ab+x*y, bb+y*y, a+x, b+y
	}
	determinant := aa*bb - ab*ab
	if determinant == 0 {
		return Link{}
	}
	l := Link{(a*bb - b*ab) / determinant, (aa*b - ab*a) / determinant}
	return Link{max(l.Latency, 0), max(l.PerByte, 0)}
}

// Work is a network as the model sees it.
type Work struct {
	Name string
	// Parameters is how many numbers the gradients of a step are.
	Parameters int
	// Normalised are the channels of each normalisation over the whole batch.
	Normalised []int
	// Step is the time of a rank's step without images, PerImage that of each image, in seconds.
	Step, PerImage float64
}

// WorkOf returns what a network exchanges; how long it computes is measured by Compute.
func WorkOf(network *builder.Network, batchNorm bool) Work {
	w := Work{Name: network.Name(), Parameters: network.ParameterCount()}
	for _, node := range network.Nodes() {
		if _, is := node.Layer.(builder.BatchNorm); is && batchNorm {
			w.Normalised = append(w.Normalised, node.Output[0])
		}
	}
	return w
}

// Links says which link a rank has to another one, by how far apart their numbers are: 1, 2, 4 …
type Links func(distance int) Link

// Uniform is one link between any two.
func Uniform(l Link) Links { return func(int) Link { return l } }

// Nodes are links in machines of so many ranks each, numbered machine by machine, and between them.
func Nodes(each int, inside, between Link) Links {
	return func(distance int) Link {
		if distance < each {
			return inside
		}
		return between
	}
}

// Sizes of messages, in bytes: see package train, where a rank tells of its shards, and where
// shards meet at a normalisation.
const (
	parameterBytes  = 4
	reportBytes     = 40 // of one shard
	normalisedBytes = 24
	channelBytes    = 16
)

// Exchange is the time of a step's messages: what the shards came to, the gradients by recursive
// halving and doubling, many of them in pieces, and each normalisation, forward and back.
func (w Work) Exchange(ranks int, links Links) float64 {
	var t float64
	gradients := float64(parameterBytes * w.Parameters)
	pieces := float64(collective.Pieces(w.Parameters, ranks))
	for distance := 1; distance < ranks; distance *= 2 {
		link := links(distance)
		t += link.Exchange(float64(reportBytes * distance))
		gradients /= 2
		t += 2 * (pieces*link.Latency + link.PerByte*gradients)
		for _, channels := range w.Normalised {
			t += 2 * link.Exchange(float64(normalisedBytes+channelBytes*channels))
		}
	}
	return t
}

// Messages is how many a rank sends in a step.
func (w Work) Messages(ranks int) int {
	pieces := collective.Pieces(w.Parameters, ranks)
	return (bits.Len(uint(ranks)) - 1) * (1 + 2*pieces + 2*len(w.Normalised))
}

// Compute is the time of a rank's own part of a step.
func (w Work) Compute(images int) float64 { return w.Step + w.PerImage*float64(images) }

// Weak is the efficiency where each rank has so many images, whatever the number of ranks: the time
// of one rank's step over that of all.
func (w Work) Weak(each, ranks int, links Links) float64 {
	compute := w.Compute(each)
	return compute / (compute + w.Exchange(ranks, links))
}

// Strong is the efficiency where a batch of so many images is shared: the time of one rank's step
// over that of all, times their number.
func (w Work) Strong(batch, ranks int, links Links) float64 {
	step := w.Compute(batch/ranks) + w.Exchange(ranks, links)
	return w.Compute(batch) / (step * float64(ranks))
}
