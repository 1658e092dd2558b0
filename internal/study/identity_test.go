package study

import "testing"

// A run is trained on one set and tested on another: its address is of both, each in its
// place, and of the search that may prune it.
func TestAddressesAreOfBothSets(t *testing.T) {
	file, err := ReadFile(writeStudy(t, "grid: {dropout: [0]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	runs, err := file.Runs()
	if err != nil {
		t.Fatal(err)
	}
	address := func(spec Spec, training, test string) string {
		t.Helper()
		id, err := spec.id(training, test)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	spec := runs[0].Spec
	pruned := spec
	pruned.Scope = "search"
	own := address(spec, "a", "b")
	for other, id := range map[string]string{
		"another training set": address(spec, "c", "b"), "another test set": address(spec, "a", "c"),
		"the sets exchanged": address(spec, "b", "a"), "no test set": address(spec, "a", ""),
		"a search of its own": address(pruned, "a", "b"),
	} {
		if id == own {
			t.Errorf("%s: the run keeps the address %s", other, own)
		}
	}
	renamed := spec
	renamed.Config.Data, renamed.Config.CheckpointEvery, renamed.Config.KeepCheckpoints = "elsewhere",
		7, 9
	if id := address(renamed, "a", "b"); id != own {
		t.Errorf("what does not change the outcome changes the address: %s, not %s", id, own)
	}
}

// The addresses of texts that feed pixels in the ways of before there were others are what
// they were, and a text has one of its own.
func TestAddressesOfPixels(t *testing.T) {
	file, err := ReadFile(writeStudy(t,
		"grid: {pixels: [\"0-255\", \"0-1\", \"0.1307,0.3081\", measured]}\nfixed: {epochs: 2}\n"))
	if err != nil {
		t.Fatal(err)
	}
	runs, err := file.Runs()
	if err != nil {
		t.Fatal(err)
	}
	// Written down at the commit before.
	known := map[string]string{
		"0-255": "43f4eb1caa7778ee", "0-1": "8d70b3ee4a392b0a", "0.1307,0.3081": "d4817c8497a80d7a",
	}
	seen := make(map[string]string)
	for _, run := range runs {
		pixels := run.Spec.Config.Pixels
		id, err := run.Spec.id("a", "b")
		if err != nil {
			t.Fatal(err)
		}
		if want, ok := known[pixels]; ok && id != want {
			t.Errorf("%s has the address %s, want %s", pixels, id, want)
		}
		if other, ok := seen[id]; ok {
			t.Errorf("%s has the address of %s", pixels, other)
		}
		seen[id] = pixels
	}
	if len(seen) != 4 {
		t.Errorf("%d addresses", len(seen))
	}
}
