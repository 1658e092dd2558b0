package nearest

import "testing"

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("distance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

func TestHint(t *testing.T) {
	for _, test := range []struct{ name, want string }{
		{"epoch", `; did you mean "epochs"?`},
		{"zzzzzz", ""},
		{"", ""},
	} {
		if got := Hint(test.name, []string{"epochs", "batch", "lr"}); got != test.want {
			t.Errorf("Hint(%q) = %q, want %q", test.name, got, test.want)
		}
	}
}
