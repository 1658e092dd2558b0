package serve

import "slipway/infer"

// A divisible runtime computes several batches at the same time, each in a session of its own.
// Threads that share a batch wait for each other at every layer; those that have a batch each do
// not, so that more is answered of many requests.
type divisible interface {
	infer.Runtime
	// Session returns a runtime of the same model on that number of threads, which gives the same
	// bits and shares the weights.
	Session(threads int) infer.Runtime
	// Held returns the bytes that the runtime holds beside the model's weights as the file has them. A
	// new session holds what all share: weights that were made of those.
	Held() int
}

// lanesMemory is what all lanes of a model may hold, in bytes, beside its weights.
const lanesMemory = 1 << 30

// lanesOf returns sessions that share out the threads of a runtime which has been tried with a
// batch of tried images and will be given most at a time: as many as have a thread each and fit
// the memory together. It returns nil where that is less than two, or the runtime has none.
func lanesOf(of infer.Runtime, tried, most int) []infer.Runtime {
	whole, ok := of.(divisible)
	if !ok {
		return nil
	}
	threads := whole.Info().Threads
	held := max(1, (whole.Held()-shared(whole))/tried*most)
	count := min(threads, lanesMemory/held)
	if count < 2 {
		return nil
	}
	lanes := make([]infer.Runtime, count)
	for i := range lanes {
		// Of threads that go not into as many equal parts, the first lanes have one more.
		lanes[i] = whole.Session((threads + count - 1 - i) / count)
	}
	return lanes
}

// shared returns the bytes that each session holds and that are there once.
func shared(of divisible) int {
	session := of.Session(1)
	defer session.Close()
	if s, ok := session.(divisible); ok {
		return s.Held()
	}
	return 0
}
