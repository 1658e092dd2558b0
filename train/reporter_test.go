package train

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// reported runs an epoch of a hundred steps through a reporter and returns what it printed.
func reported(t *testing.T, width func() int) string {
	t.Helper()
	var out strings.Builder
	r := NewReporter(&out, width, 10)
	now := time.Unix(0, 0)
	r.now = func() time.Time {
		now = now.Add(11 * time.Second) // past any interval
		return now
	}
	for step := range 100 {
		if err := r.Step(StepReport{Epoch: 1, Step: step + 1, Steps: 100, Loss: 2.302585,
			Images: 32}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Epoch(Epoch{Epoch: 1, Steps: 100, MeanLoss: 1, LastLoss: 2, TrainAccuracy: 0.5,
		Seconds: 1, ImagesPerSecond: 3200}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// What is redrawn fits into the terminal as wide as it is at that moment, and leaves its
// last column free.
func TestTheProgressFitsTheTerminal(t *testing.T) {
	for _, columns := range []int{200, 100, 80, 60, 30, 1} {
		narrowed := 0
		width := func() int { // a window that is made narrower
			narrowed++
			return max(columns-narrowed/10, 1)
		}
		lines := strings.Split(reported(t, width), "\r")
		if len(lines) < 90 {
			t.Fatalf("%d lines are drawn", len(lines))
		}
		for i, line := range lines[1 : len(lines)-1] {
			text, erased := strings.CutSuffix(line, eraseRest)
			room := max(columns-(i+1)/10, 1) - 1
			if n := len([]rune(text)); !erased || n > room || n < min(room, 30) ||
				strings.Contains(text, "\n") {
				t.Errorf("%d columns, %d of them free: %q", columns, room-n, line)
			}
		}
		if last := lines[len(lines)-1]; !strings.HasPrefix(last,
			"Epoch [1/10], Step [100/100], Loss: 2.0000  (mean loss 1.0000") ||
			!strings.HasSuffix(last, "\n") {
			t.Errorf("the epoch's line is %q", last)
		}
	}
	if wide := reported(t, func() int { return 120 }); !strings.Contains(wide,
		fmt.Sprintf("\r[%s%s] Epoch [1/10], Step [50/100]", strings.Repeat("=", 12),
			strings.Repeat(" ", 12))) {
		t.Error("a wide terminal shows no bar")
	}
	if narrow := reported(t, func() int { return 80 }); !strings.Contains(narrow,
		"Epoch [1/10], Step [50/100], Loss: 2.3026") {
		t.Error("80 columns have no room for the figures")
	}
}

// What is no terminal gets whole lines and nothing that moves a cursor.
func TestPlainProgress(t *testing.T) {
	text := reported(t, nil)
	if strings.ContainsAny(text, "\r\x1b") || strings.Count(text, "\n") < 90 {
		t.Errorf("%d lines: %q", strings.Count(text, "\n"), text[:200])
	}
}

// The rate and the time that is left are those of the steps since the epoch began: 32 images
// in 11 seconds, and 50 steps of this epoch and 100 of each of the nine that follow.
func TestTheRateAndTheTimeLeft(t *testing.T) {
	const want = "Epoch [1/10], Step [50/100], Loss: 2.3026, 3 images/s, 2h54m10s left\n"
	if text := reported(t, nil); !strings.Contains(text, want) {
		t.Errorf("%q has no %q", text, want)
	}
}

// Steps are told of no more often than a reader wants, on a terminal and elsewhere.
func TestIntervalsOfProgress(t *testing.T) {
	columns := func() int { return 80 }
	for _, test := range []struct {
		width func() int
		step  time.Duration
		want  int
	}{
		{columns, 100 * time.Millisecond, 8}, {columns, 99 * time.Millisecond, 4},
		{nil, 10 * time.Second, 8}, {nil, 9 * time.Second, 4},
	} {
		var out strings.Builder
		r := NewReporter(&out, test.width, 1)
		now := time.Unix(0, 0)
		r.now = func() time.Time {
			now = now.Add(test.step)
			return now
		}
		for step := range 10 { // neither the first nor the last is told of
			if err := r.Step(StepReport{Epoch: 1, Step: step + 1, Steps: 10,
				Images: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Count(out.String(), "Step ["); got != test.want {
			t.Errorf("steps of %v on a terminal %t: %d are told of, want %d", test.step,
				test.width != nil, got, test.want)
		}
	}
}

// A bar that shows nothing is left out, and so is what has no room.
func TestWhatFitsIntoTheColumns(t *testing.T) {
	for columns, want := range map[int]string{
		14: "[==  ] figures", 13: "figures", 7: "figures", 6: "figure", 0: "", -1: "",
		100: "[" + strings.Repeat("=", 12) + strings.Repeat(" ", 12) + "] figures",
	} {
		if got := fitting("figures", 0.5, columns); got != want {
			t.Errorf("%d columns: %q, want %q", columns, got, want)
		}
	}
}

// All that is known of an epoch is told, shares in per cent.
func TestTheLineOfAnEpoch(t *testing.T) {
	loss, accuracy, test := 0.25, 0.75, 0.8
	var out strings.Builder
	err := NewReporter(&out, nil, 10).Epoch(Epoch{Epoch: 2, Steps: 100, MeanLoss: 1, LastLoss: 2,
		TrainAccuracy:  0.5,
		ValidationLoss: &loss, ValidationAccuracy: &accuracy, TestAccuracy: &test, Seconds: 1,
		ImagesPerSecond: 3200})
	const want = "Epoch [2/10], Step [100/100], Loss: 2.0000  (mean loss 1.0000, training accuracy 50.00 %, " +
		"validation loss 0.2500, validation accuracy 75.00 %, test accuracy 80.00 %, 1.0 s, 3200 images/s)\n"
	if err != nil || out.String() != want {
		t.Errorf("%q (%v), want %q", out.String(), err, want)
	}
}

// What images with any number of labels have, and weights that are averaged, is told besides.
func TestTheLineOfAnEpochWithMore(t *testing.T) {
	loss, accuracy, precision, rawLoss, raw := 0.25, 0.75, 0.625, 0.5, 0.375
	var out strings.Builder
	err := NewReporter(&out, nil, 10).Epoch(Epoch{Epoch: 2, Steps: 100, MeanLoss: 1, LastLoss: 2,
		TrainAccuracy: 0.5, ValidationLoss: &loss, ValidationAccuracy: &accuracy,
		ValidationMeanAveragePrecision: &precision, RawValidationLoss: &rawLoss,
		RawValidationAccuracy: &raw, Seconds: 1, ImagesPerSecond: 3200})
	const want = "Epoch [2/10], Step [100/100], Loss: 2.0000  (mean loss 1.0000, training accuracy 50.00 %, " +
		"validation loss 0.2500, validation accuracy 75.00 %, validation mean average precision 62.50 % " +
		"(not averaged 0.5000, 37.50 %), 1.0 s, 3200 images/s)\n"
	if err != nil || out.String() != want {
		t.Errorf("%q (%v), want %q", out.String(), err, want)
	}
}
