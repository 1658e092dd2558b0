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
	renamed.Config.Data, renamed.Config.CheckpointEvery, renamed.Config.KeepCheckpoints = "elsewhere", 7, 9
	if id := address(renamed, "a", "b"); id != own {
		t.Errorf("what does not change the outcome changes the address: %s, not %s", id, own)
	}
}
