package main

import "testing"

// What names the module or a package is written anew, and what is called alike is not.
func TestRewrite(t *testing.T) {
	r := &rewriter{old: "boat", path: "example.org/you/boat", packages: map[string]bool{
		"onnx": true, "infer": true, "infer/classify": true, "cmd": true, "cmd/infer": true,
		"internal":     true,
		"internal/asm": true, "pretrained": true,
	}}
	const path = "example.org/you/boat"
	for text, want := range map[string]string{
		"module boat\n\ngo 1.26":               path + "\n\ngo 1.26",
		"module boat/internal/asm\n":           path + "/internal/asm\n",
		`	"boat/onnx"`:                         `	"` + path + `/onnx"`,
		`own "boat/infer/classify"`:            `own "` + path + `/infer/classify"`,
		`import "boat/infer"; x`:               `import "` + path + `/infer"; x`,
		"`boat/infer/classify` needs":          "`" + path + "/infer/classify` needs",
		"Read boat/infer.":                     "Read " + path + "/infer.",
		"boat/onnx.Model":                      path + "/onnx.Model",
		"go install boat/cmd/infer@latest":     "go install " + path + "/cmd/infer@latest",
		"go build boat/infer/... boat/cmd/...": "go build " + path + "/infer/... " + path + "/cmd/...",
		"-require boat@v0.0.0 -replace boat=../boat": "-require " + path + "@v0.0.0 -replace " + path +
			"=../boat",
		`"\n\nrequire boat v0.0.0\n\n" + "replace boat => "`: `"\n\nrequire ` + path +
			` v0.0.0\n\n" + "replace ` +
			path + ` => "`,
		`strings.HasPrefix(p, "boat/")`: `strings.HasPrefix(p, "` + path + `/")`,
	} {
		if want[:7] == "example" && text[:7] == "module " {
			want = "module " + want
		}
		if got := r.rewrite(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
		// And back.
		back := &rewriter{old: r.path, path: r.old, packages: r.packages}
		if got := back.rewrite(want); got != text {
			t.Errorf("%q becomes %q again, want %q", want, got, text)
		}
	}
	for _, text := range []string{
		"bin/boat train", "boat train", "cd ../boat", `filepath.Join(dir, "boat", "mnist")`,
		"~/.cache/boat/onnx", "$HOME/boat/infer", "boat/onnxruntime in it", "`boat/networks.go`",
		`"boat/onnx/onnx.proto"`, "the module boat's own", "boat.pixels", "boat-infer", "myboat/infer",
		`"\x1dboat/onnx"`, "require boats", "boat", "boat/",
	} {
		if got := r.rewrite(text); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

func TestRewritten(t *testing.T) {
	for file, want := range map[string]bool{
		"go.mod": true, "onnx/model.go": true, "docs/own-program.md": true, "Makefile": true,
		".ci/run":                 true,
		"scripts/build-cuda-shim": true, "internal/kernel/asm/go.mod": true,
		"onnx/onnxpb/onnx.pb.go": false, "onnx/onnxpb/onnx.proto": false,
		"scripts/generate-onnx-bindings": false,
		"CHANGELOG.md":                   false, "docs/dist.md": false, "docs/bench/peers.md": false,
		"graphs/e1.onnx":      false,
		"infer/testdata/x.go": false, "go.sum": false,
	} {
		if got := rewritten(file); got != want {
			t.Errorf("%s: %v, want %v", file, got, want)
		}
	}
}
