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
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"slipway/internal/collective"
	"slipway/internal/mpi"
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
	err := collective.Sum(context.Background(), c, x, make([]float32, len(x)/2), func(total, part []float32) error {
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

// library is one that scripts/setup-mpi brings, with its launcher.
type library struct{ name, launcher, file, abi string }

// libraries lists those that are here, and skips the test where none is.
func libraries(t *testing.T) []library {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", "..", ".cache", "mpi"))
	if err != nil {
		t.Fatal(err)
	}
	var here []library
	for _, l := range []library{
		{"Open MPI", "openmpi/bin/mpirun", "openmpi/lib/libmpi.so.40", "Open MPI"},
		{"MPICH", "mpich/bin/mpiexec", "mpich/lib/libmpi.so.12", "MPICH"},
		{"standard", "mpich/bin/mpiexec", "mpich/lib/libmpi_abi.so.1", "standard"},
	} {
		l.launcher, l.file = filepath.Join(root, l.launcher), filepath.Join(root, l.file)
		if _, err := os.Stat(l.launcher); err == nil {
			here = append(here, l)
		}
	}
	if len(here) == 0 {
		t.Skipf("no MPI in %s; scripts/setup-mpi brings it", root)
	}
	return here
}

// launch has the launcher start ranks in a role, and returns what they print.
func (l library) launch(t *testing.T, ranks int, role, file string) (string, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	args := []string{"-n", fmt.Sprint(ranks), self}
	if l.abi == "Open MPI" {
		args = append([]string{"--oversubscribe", "--mca", "btl_tcp_if_include", "lo"}, args...)
	}
	command := exec.CommandContext(ctx, l.launcher, args...)
	command.Env = append(os.Environ(), roleVariable+"="+role, mpi.LibraryVariable+"="+file,
		"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
		"PRTE_ALLOW_RUN_AS_ROOT=1", "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1")
	command.WaitDelay = time.Second
	output, err := command.CombinedOutput()
	return string(output), err
}

func TestRanksOfEachLibrary(t *testing.T) {
	for _, l := range libraries(t) {
		for _, role := range []string{"exchange", "fault"} {
			t.Run(l.name+" "+role, func(t *testing.T) {
				output, err := l.launch(t, 2, role, l.file)
				if err != nil || strings.Count(output, " is done with ") != 2 ||
					strings.Count(output, "("+l.abi+" ABI)") != 2 {
					t.Errorf("%v, output:\n%s", err, output)
				}
			})
		}
	}
}

// A sum has one digest in every library.
func TestSumsOfEachLibrary(t *testing.T) {
	digests := make(map[string]bool)
	for _, l := range libraries(t) {
		output, err := l.launch(t, 4, "sum", l.file)
		if err != nil || strings.Count(output, "digest ") != 4 {
			t.Errorf("%s: %v, output:\n%s", l.name, err, output)
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
	for _, l := range libraries(t) {
		output, err := l.launch(t, 2, "silence", l.file)
		if err == nil || !strings.Contains(output, "rank 0: rank 1 is silent, as it should be") {
			t.Errorf("%s: %v, output:\n%s", l.name, err, output)
		}
	}
}

// A library that the launcher does not know, or that is none, is an error and not as many runs.
func TestTheWrongLibrary(t *testing.T) {
	here := libraries(t)
	if len(here) < 3 {
		t.Skip("two libraries are needed; scripts/setup-mpi brings them")
	}
	for want, file := range map[string]string{
		"it is not the launcher's library; name that with SLIPWAY_MPI": here[0].file,
		"is no MPI library: it has no MPI_Init_thread":                 "libm.so.6",
		"no MPI library can be loaded; install Open MPI or MPICH":      "/nowhere/libmpi.so",
	} {
		output, err := here[1].launch(t, 2, "exchange", file) // Open MPI's own ends by itself
		if err == nil || !strings.Contains(output, want) {
			t.Errorf("%v, want %q, output:\n%s", err, want, output)
		}
	}
}
