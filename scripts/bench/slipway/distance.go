package main

import (
	"encoding/json"
	"io"
	"runtime"
	"sync/atomic"
	"time"
)

// distance measures how long a cache line takes to another thread and back, in nanoseconds: the
// shortest of many trips. Within one cache it is some 100, between two of a large processor twice
// as much and more. The process should be kept on two CPUs.
func distance(out io.Writer) error {
	const trips, batches = 20, 500
	runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0)))
	var ball struct {
		_     [128]byte
		value atomic.Int64
		_     [128]byte
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		for i := int64(0); i < trips*batches; i++ {
			await(&ball.value, 2*i+1)
			ball.value.Store(2*i + 2)
		}
	}()
	runtime.LockOSThread()
	shortest := time.Duration(1<<63 - 1)
	for batch := range int64(batches) {
		began := time.Now()
		for i := batch * trips; i < (batch+1)*trips; i++ {
			ball.value.Store(2*i + 1)
			await(&ball.value, 2*i+2)
		}
		shortest = min(shortest, time.Since(began))
	}
	<-done
	return json.NewEncoder(out).Encode(struct {
		Nanoseconds float64 `json:"nanoseconds"`
	}{float64(shortest.Nanoseconds()) / trips})
}

// await looks until the value has come, and lets others run where that takes long.
func await(value *atomic.Int64, wanted int64) {
	const looks = 100_000
	for {
		for range looks {
			if value.Load() == wanted {
				return
			}
		}
		runtime.Gosched()
	}
}
