package lockstep_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"slipway/internal/lockstep"
)

// All members come to each meeting in turn, and none goes on before it.
func TestMembersMeet(t *testing.T) {
	for _, n := range []int{0, 1, 3, 8} {
		var got []string
		meetings := 0
		err := lockstep.Run(n, func(member int, wait func() error) error {
			for round := range 3 {
				got = append(got, fmt.Sprint(round, member))
				done := make(chan error)
				go func() { done <- wait() }() // as a machine with a goroutine of its own does
				if err := <-done; err != nil {
					return err
				}
				if meetings != round+1 {
					return fmt.Errorf("round %d after %d meetings", round, meetings)
				}
			}
			return nil
		}, func() error { meetings++; return nil })
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for round := range 3 {
			for member := range n {
				want = append(want, fmt.Sprint(round, member))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d members: %v, want %v", n, got, want)
		}
	}
}

// Whatever fails, all members return, and the first error is told.
func TestFailures(t *testing.T) {
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		member func(member, round int) error
		meet   func(round int) error
		ends   map[int]int // by member: the round before which it ends
		want   error
	}{
		"member at once": {member: func(member, round int) error {
			if member == 2 && round == 0 {
				return broken
			}
			return nil
		}, want: broken},
		"member later": {member: func(member, round int) error {
			if member == 0 && round == 2 {
				return broken
			}
			return nil
		}, want: broken},
		"meeting": {meet: func(round int) error {
			if round == 1 {
				return broken
			}
			return nil
		}, want: broken},
		"uneven": {ends: map[int]int{1: 1}, want: lockstep.ErrUneven},
	} {
		running, round := 0, 0
		err := lockstep.Run(3, func(member int, wait func() error) error {
			running++
			defer func() { running-- }()
			for round := range 3 {
				if end, ok := test.ends[member]; ok && round == end {
					return nil
				}
				if test.member != nil {
					if err := test.member(member, round); err != nil {
						return err
					}
				}
				if err := wait(); err != nil {
					if again := wait(); again != lockstep.ErrStopped {
						t.Errorf("%s: asked again, it is %v", name, again)
					}
					return err
				}
			}
			return nil
		}, func() error {
			round++
			if test.meet != nil {
				return test.meet(round)
			}
			return nil
		})
		if err != test.want || running != 0 {
			t.Errorf("%s: %v with %d members running, want %v", name, err, running, test.want)
		}
	}
}
