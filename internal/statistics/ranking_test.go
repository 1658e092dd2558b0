package statistics

import (
	"errors"
	"math"
	"testing"
)

// The definition of the area is a count of pairs, which can be done one by one.
func TestAreaIsTheShareOfPairsInOrder(t *testing.T) {
	scores := []float64{3, 1, 2, 2, 5, -1, 2, math.Inf(1), 1, 0}
	positive := []bool{true, false, true, false, true, false, false, false, true, false}
	var right, pairs float64
	for i := range scores {
		for j := range scores {
			if !positive[i] || positive[j] {
				continue
			}
			pairs++
			switch {
			case scores[i] > scores[j]:
				right++
			case scores[i] == scores[j]:
				right += 0.5
			}
		}
	}
	ranking, err := NewRanking(scores, positive)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "area", ranking.ROCAUC, right/pairs)
}

func TestRankingOfOneKindIsNotDefined(t *testing.T) {
	ranking, err := NewRanking([]float64{1, 2}, []bool{true, true})
	if err != nil || !math.IsNaN(ranking.ROCAUC) || ranking.AveragePrecision != 1 {
		t.Errorf("positives alone: %+v, %v", ranking, err)
	}
	ranking, err = NewRanking([]float64{1, 2}, []bool{false, false})
	if err != nil || !math.IsNaN(ranking.ROCAUC) || !math.IsNaN(ranking.AveragePrecision) {
		t.Errorf("negatives alone: %+v, %v", ranking, err)
	}
	for name, call := range map[string]func() (Ranking, error){
		"NaN":     func() (Ranking, error) { return NewRanking([]float64{math.NaN()}, []bool{true}) },
		"lengths": func() (Ranking, error) { return NewRanking([]float64{1, 2}, []bool{true}) },
	} {
		if _, err := call(); !errors.Is(err, ErrArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Of equal scores the first class goes before the later ones, as in an answer.
func TestTopKOfEqualScores(t *testing.T) {
	row := []float32{1, 2, 2, 0}
	for label, first := range []int{3, 1, 2, 4} {
		for k := 1; k <= 4; k++ {
			if got := TopK(row, label, k); got != (k >= first) {
				t.Errorf("label %d is among the best %d: %v", label, k, got)
			}
		}
	}
}

func TestCountClasses(t *testing.T) {
	counts, err := CountClasses([]int{0, 0, 1, 2}, []int{0, 1, -1, 2}, 4)
	if err != nil {
		t.Fatal(err)
	}
	want := []Counts{{TruePositive: 1, FalseNegative: 1}, {FalsePositive: 1, FalseNegative: 1},
		{TruePositive: 1}, {}}
	for class := range want {
		if counts[class] != want[class] {
			t.Errorf("class %d: %+v, want %+v", class, counts[class], want[class])
		}
	}
	if !math.IsNaN(counts[3].F1()) || counts[1].F1() != 0 || counts[0].Support() != 2 {
		t.Errorf("F1 %v and %v", counts[3].F1(), counts[1].F1())
	}
	for name, answers := range map[string][]int{"too few": {0}, "answer": {0, 1, 2, 4}} {
		if _, err := CountClasses([]int{0, 0, 1, 2}, answers, 4); !errors.Is(err, ErrArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := CountClasses([]int{4}, []int{0}, 4); !errors.Is(err, ErrArgument) {
		t.Errorf("label: %v", err)
	}
}
