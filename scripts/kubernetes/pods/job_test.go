package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// readStudyJob reads the manifest that ships.
func readStudyJob(t *testing.T) *job {
	t.Helper()
	raw, err := os.ReadFile("../../../deploy/kubernetes/study-job.yaml")
	if err != nil {
		t.Fatal(err)
	}
	j, err := readJob(raw)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestContainer(t *testing.T) {
	j := readStudyJob(t)
	volumes, err := j.volumes([]string{"runs=/a", "studies=/b", "data=/c"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := j.container(3, "/image", volumes)
	if err != nil {
		t.Fatal(err)
	}
	process := c["process"].(object)
	if args := process["args"].([]string); len(args) != 3 || args[0] != "bash" ||
		!strings.Contains(args[2], `"$((JOB_COMPLETION_INDEX + 1))/8"`) {
		t.Errorf("the arguments are %q", args)
	}
	if env := process["env"].([]string); !slices.Contains(env, "JOB_COMPLETION_INDEX=3") {
		t.Errorf("the environment is %q", env)
	}
	resources := c["linux"].(object)["resources"].(object)
	if resources["cpu"].(object)["quota"] != int64(400_000) ||
		resources["memory"].(object)["limit"] != int64(4<<30) {
		t.Errorf("the limits are %v", resources)
	}
	modes := make(map[any]any)
	for _, m := range c["mounts"].([]object) {
		if m["type"] == "bind" {
			modes[m["destination"]] = m["source"].(string) + " " + m["options"].([]string)[1]
		}
	}
	for destination, want := range map[string]string{
		"/runs": "/a rw", "/studies": "/b ro", "/data": "/c ro", "/usr": "/usr ro",
		"/opt/slipway": "/image ro",
	} {
		if modes[destination] != want {
			t.Errorf("%s is %v, want %s", destination, modes[destination], want)
		}
	}
}

func TestWhatIsNotKnown(t *testing.T) {
	unknown := "apiVersion: batch/v1\nkind: Job\nspec: {suspend: true}\n"
	if _, err := readJob([]byte(unknown)); err == nil {
		t.Error("a field that is not known is left out")
	}
	if _, err := readJob([]byte("apiVersion: batch/v1\nkind: CronJob\n")); err == nil {
		t.Error("another kind is taken")
	}
	if _, err := readStudyJob(t).volumes([]string{"runs=/a"}); err == nil {
		t.Error("a volume that is nowhere is taken")
	}
}

// A name is what stands between $( and the next ): shell arithmetic is none.
func TestExpand(t *testing.T) {
	env := map[string]string{"A": "one", "B": "$(A)"}
	for text, want := range map[string]string{
		"$(A)-$(B)":   "one-$(A)",
		"$$(A)":       "$(A)",
		"$(C) $A $":   "$(C) $A $",
		"$((A + 1))/": "$((A + 1))/",
		"$(A":         "$(A",
		"$$$(A)":      "$one",
	} {
		if got := expand(text, env); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestNumber(t *testing.T) {
	for text, want := range map[string]float64{
		"4": 4, "500m": 0.5, "512Mi": 512 << 20, "4Gi": 4 << 30,
	} {
		if got, err := number(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-1", "0", "4Zi"} {
		if got, err := number(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}
