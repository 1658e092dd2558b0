//go:build cgo

package mpi_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"slipway/internal/collective"
	"slipway/internal/mpi"
	"slipway/internal/mpi/mpitest"
)

// roleVariable makes this test's program one of the ranks that a test has a launcher start.
const roleVariable = "SLIPWAY_MPI_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		mpi.Exit(asRank(role))
	}
	os.Exit(m.Run())
}

// roles are what ranks do.
var roles = map[string]func(c *mpi.Comm) error{
	"exchange": exchange, "sum": sum, "silence": silence, "fault": fault,
	"lengths 7 10":            func(c *mpi.Comm) error { return lengths(c, 7, 10) },
	"lengths 0 5":             func(c *mpi.Comm) error { return lengths(c, 0, 5) },
	"lengths 1000000 3000000": func(c *mpi.Comm) error { return lengths(c, 1_000_000, 3_000_000) },
	"lengths 20 3000000":      func(c *mpi.Comm) error { return lengths(c, 20, 3_000_000) },
}

func asRank(role string) int {
	c, err := mpi.Open()
	if err != nil {
		fmt.Println("open:", err)
		return 1
	}
	if err := roles[role](c); err != nil {
		fmt.Printf("rank %d: %v\n", c.Rank(), err)
		c.Abort(1)
		return 1
	}
	fmt.Printf("rank %d of %d is done with %s\n", c.Rank(), c.Size(), c)
	if err := c.Close(); err != nil {
		fmt.Println("close:", err)
		return 1
	}
	return 0
}

// pattern is what a rank sends in a round.
func pattern(rank, round, size int) []byte {
	data, source := make([]byte, size), rand.New(rand.NewPCG(uint64(rank), uint64(round)))
	for i := range data {
		data[i] = byte(source.Uint32())
	}
	return data
}

// exchange sends messages of all sizes, also in one direction alone, while the collector runs.
func exchange(c *mpi.Comm) error {
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				_ = make([]byte, 1<<16+i%7)
				runtime.GC()
			}
		}
	}()
	peer := c.Rank() ^ 1
	for round, size := range []int{1, 0, 7, 4096, 65537, 1 << 20, 3, 1<<22 + 1} {
		to := make([]byte, size)
		if err := c.Exchange(context.Background(), peer, to, pattern(c.Rank(), round, size)); err != nil {
			return err
		}
		if !bytes.Equal(to, pattern(peer, round, size)) {
			return fmt.Errorf("round %d: other bytes came", round)
		}
		data := pattern(0, round, size)
		if c.Rank() == 0 {
			to = nil
		} else {
			data = nil
		}
		if err := c.Exchange(context.Background(), peer, to, data); err != nil {
			return err
		}
		if c.Rank() == 1 && !bytes.Equal(to, pattern(0, round, size)) {
			return fmt.Errorf("round %d: other bytes came from rank 0", round)
		}
	}
	return nil
}

// sum adds up over all ranks and prints a digest.
func sum(c *mpi.Comm) error {
	source := rand.New(rand.NewPCG(7, uint64(c.Rank())))
	x := make([]float32, 16*1001)
	for i := range x {
		x[i] = float32(source.NormFloat64())
	}
	err := collective.Sum(context.Background(), c, x, make([]float32, 1600), // in pieces
		func(total, part []float32, _ bool) error {
			for i, v := range part {
				total[i] += v
			}
			return nil
		})
	if err != nil {
		return err
	}
	fmt.Printf("digest %x\n", sha256.Sum256(fmt.Append(nil, x)))
	return nil
}

// lengths are what rank 0 sends and expects, and what rank 1 does.
func lengths(c *mpi.Comm, first, second int) error {
	own := []int{first, second}[c.Rank()]
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := c.Exchange(ctx, c.Rank()^1, make([]byte, own), make([]byte, own))
	if err == nil {
		return errors.New("another length is taken")
	}
	if again := c.Exchange(ctx, c.Rank()^1, nil, nil); again == nil {
		return errors.New("another exchange follows")
	}
	return err
}

// silence is of rank 1; rank 0 gives up.
func silence(c *mpi.Comm) error {
	if c.Rank() == 1 {
		time.Sleep(time.Hour)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	to := make([]byte, 1)
	err := c.Exchange(ctx, 1, to, []byte{1})
	if !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the exchange returned %v", err)
	}
	runtime.GC() // what the library still may write to stays
	if err := c.Exchange(context.Background(), 1, to, []byte{1}); err == nil {
		return errors.New("another exchange follows")
	}
	return errors.New("rank 1 is silent, as it should be")
}

// fault is recovered from as without MPI: the library must not have taken the signal.
func fault(c *mpi.Comm) (err error) {
	defer func() {
		if recover() == nil {
			err = errors.New("nothing to recover from")
		}
	}()
	var nowhere *int
	*nowhere = c.Rank()
	return nil
}

// launch has the launcher start ranks in a role, and returns what they print.
func launch(t *testing.T, l mpitest.Library, ranks int, role string) (string, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	output, err := l.Command(t, ranks, []string{roleVariable + "=" + role}, self).CombinedOutput()
	return string(output), err
}

func TestRanksOfEachLibrary(t *testing.T) {
	for _, l := range mpitest.Libraries(t) {
		for _, role := range []string{"exchange", "fault"} {
			t.Run(l.Name+" "+role, func(t *testing.T) {
				output, err := launch(t, l, 2, role)
				if err != nil || strings.Count(output, " is done with ") != 2 ||
					strings.Count(output, "("+l.Name+" ABI)") != 2 {
					t.Errorf("%v, output:\n%s", err, output)
				}
			})
		}
	}
}

// A message of another length than is expected is an error on both ranks that names both lengths.
func TestLengthsThatDifferOnRanks(t *testing.T) {
	for _, l := range mpitest.Libraries(t) {
		for role := range roles {
			var first, second int
			if n, _ := fmt.Sscanf(role, "lengths %d %d", &first, &second); n != 2 {
				continue
			}
			output, err := launch(t, l, 2, role)
			for _, want := range []string{
				fmt.Sprintf("rank 0: rank 1 sends %d bytes, and %d are expected", second, first),
				fmt.Sprintf("rank 1: rank 0 sends %d bytes, and %d are expected", first, second),
			} {
				if err == nil || !strings.Contains(output, want) {
					t.Errorf("%s, %s: %v, want %q, output:\n%s", l.Name, role, err, want, output)
				}
			}
		}
	}
}

// A sum has one digest in every library.
func TestSumsOfEachLibrary(t *testing.T) {
	digests := make(map[string]bool)
	for _, l := range mpitest.Libraries(t) {
		output, err := launch(t, l, 4, "sum")
		if err != nil || strings.Count(output, "digest ") != 4 {
			t.Errorf("%s: %v, output:\n%s", l.Name, err, output)
		}
		for _, line := range strings.Split(output, "\n") {
			if strings.HasPrefix(line, "digest ") {
				digests[line] = true
			}
		}
	}
	if len(digests) != 1 {
		t.Errorf("the sums are %v", digests)
	}
}

// A rank that gives up waiting ends the job, also those that hang.
func TestASilentRankEndsTheJob(t *testing.T) {
	for _, l := range mpitest.Libraries(t) {
		output, err := launch(t, l, 2, "silence")
		if err == nil || !strings.Contains(output, "rank 0: rank 1 is silent, as it should be") {
			t.Errorf("%s: %v, output:\n%s", l.Name, err, output)
		}
	}
}

// A library that the launcher does not know, or that is none, is an error and not as many runs.
func TestTheWrongLibrary(t *testing.T) {
	here := mpitest.Libraries(t)
	if len(here) < 3 {
		t.Skip("two libraries are needed: make mpi-test")
	}
	for want, file := range map[string]string{
		"it is not the launcher's library; name that with SLIPWAY_MPI": here[0].File,
		"is no MPI library: it has no MPI_Init_thread":                 "libm.so.6",
		"no MPI library can be loaded: /nowhere/libmpi.so: ":           "/nowhere/libmpi.so",
	} {
		other := here[1] // Open MPI's launcher would end MPICH's library by itself
		other.File = file
		output, err := launch(t, other, 2, "exchange")
		if err == nil || !strings.Contains(output, want) {
			t.Errorf("%v, want %q, output:\n%s", err, want, output)
		}
	}
}
