// Package dist_test tests the release check's way with folders; what it builds is
// for the check itself.
package dist_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// project makes a repository of the script and of a build that writes its folder's
// name and a file, and fails; and a PATH on which every compiler is.
func project(t *testing.T) (root, path string) {
	t.Helper()
	root, tools := t.TempDir(), t.TempDir()
	script, err := os.ReadFile("dist")
	if err != nil {
		t.Fatal(err)
	}
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(root, "scripts/dist/dist"), string(script))
	write(filepath.Join(root, "scripts/dist/build"),
		"#!/bin/sh\necho new >\"$1/SHA256SUMS\"\nexit 1\n")
	for _, name := range []string{"gcc", "aarch64-linux-gnu-gcc", "qemu-aarch64-static", "readelf"} {
		write(filepath.Join(tools, name), "#!/bin/sh\n")
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "."},
		{"-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "t"}} {
		git := exec.Command("git", args...)
		git.Dir = root
		if out, err := git.CombinedOutput(); err != nil {
			t.Skipf("git %v: %v: %s", args, err, out)
		}
	}
	return root, tools + string(os.PathListSeparator) + os.Getenv("PATH")
}

// TestFolderOfTheCaller: -o is relative to who calls, and what lies there and is no
// archive of ours stays.
func TestFolderOfTheCaller(t *testing.T) {
	root, path := project(t)
	caller := t.TempDir()
	out := filepath.Join(caller, "out")
	if err := os.Mkdir(out, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"thesis.txt", "other.tar.gz", "slipway-0.1-linux-amd64.tar.gz",
		"slipway-0.1-linux-amd64.cdx.json", "SHA256SUMS"} {
		if err := os.WriteFile(filepath.Join(out, name), []byte("old\n"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.Command(filepath.Join(root, "scripts/dist/dist"), "--once", "-o", "out")
	command.Dir, command.Env = caller, append(os.Environ(), "PATH="+path)
	text, err := command.CombinedOutput()
	if err == nil {
		t.Fatal("the build fails and the script does not")
	}
	entries, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if want := []string{"SHA256SUMS", "other.tar.gz", "thesis.txt"}; !slices.Equal(names, want) {
		t.Errorf("the folder holds %v, want %v\n%s", names, want, text)
	}
	if sums, err := os.ReadFile(filepath.Join(out, "SHA256SUMS")); err != nil ||
		string(sums) != "new\n" {
		t.Errorf("the build was given another folder: %q, %v\n%s", sums, err, text)
	}
}
