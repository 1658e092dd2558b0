package command_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"google.golang.org/protobuf/proto"

	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// strangeNames are names that do something where they are written as they are: to a terminal, a web
// page, a spreadsheet, a Markdown table, a folder.
func strangeNames() []string {
	return []string{
		"\x1b[2J\x1b]0;owned\a",
		"<script>alert(1)<",
		`"><img src=x onerror=alert(1)>`,
		`=HYPERLINK("x","y")`,
		"@SUM(A1:A9)",
		"a|b`c*_[l](javascript:alert(1))",
		"two\nlines\r\nof it",
		"..",
		"CON",
		"right\u202etoleft",
		"{{.}} ${HOME} $(id) `id`",
	}
}

// Names that a set, a network, a study or a model brings along are text wherever they come out:
// one table of such names goes through every command, and everything that is written is looked at.
func TestStrangeNamesAreInert(t *testing.T) {
	dir := t.TempDir()
	writeStrangeSet(t, dir)
	writeStrangeStudy(t, dir)
	said := make(map[string]string)
	do := func(line ...string) {
		t.Helper()
		r := runIn(t, dir, line[0], line[1:]...)
		if r.code != 0 {
			t.Fatalf("%q: exit %d: %s%s", line, r.code, r.stdout, r.stderr)
		}
		said[strings.Join(line, " ")] = r.stdout
		said[strings.Join(line, " ")+", standard error"] = r.stderr
	}
	do("dataset", "show", "-data", "own", "-v", "-o", "sheet.png")
	do("dataset", "pack", "-o", "packed.tar", "own")
	do("train", "-data", "own", "-test", "own", "-network", "net.yaml", "-epochs", "2", "-batch", "4",
		"-pixels", "measured", "-validation", "0.3", "-tensorboard", "events", "-name", "first",
		"-licence", strangeNames()[1])
	do("train", "-data", "own", "-test", "own", "-network", "net.yaml", "-epochs", "1", "-batch", "4",
		"-pixels", "measured", "-name", "second")
	do("experiment", "list")
	do("experiment", "curves", "first", "second")
	do("experiment", "compare", "first", "second", "-o", "compared")
	do("experiment", "run", "study.yaml")
	do("experiment", "report", "study.yaml")
	do("slipway", "export", "-run", "runs/first", "-o", "first.onnx", "-verify", "native")
	do("slipway", "export", "-run", "runs/second", "-o", "second.onnx", "-verify", "native")
	renameGraph(t, filepath.Join(dir, "first.onnx"), filepath.Join(dir, "strange.onnx"))
	for _, model := range []string{"first.onnx", "strange.onnx"} {
		svg := strings.TrimSuffix(model, ".onnx") + "-graph.svg"
		do("inspect", "-svg", svg, model)
		do("inspect", "-json", model)
		do("infer", "-model", model, "-data", "own", "-runtime", "native", "-report", model+"-report")
		do("infer", "-model", model, "-data", "own", "-runtime", "native", "-json")
		do("infer", "-model", model, "-runtime", "native", "-top", "3", "-o", model+"-predictions.csv",
			"own")
		do("infer", "-model", model, "-runtime", "native", "-json", "own")
		do("infer", "robustness", "-model", model, "-data", "own", "-runtime", "native", "-corruptions",
			"brightness", "-plot", model+"-robustness.svg", "-csv", model+"-robustness.csv")
		do("sbom", "-o", model+".cdx.json", model)
	}
	r := runIn(t, dir, "infer", "compare", "second.onnx", "strange.onnx", "-data", "own", "-runtimes",
		"native,native", "-sheet", "changed.png")
	said["infer compare"], said["infer compare, standard error"] = r.stdout, r.stderr
	for name, text := range said {
		checkInert(t, name, text)
	}
	checkFiles(t, dir)
}

// checkInert reports what a terminal would do.
func checkInert(t *testing.T, where, text string) {
	t.Helper()
	// JSON is a program's to read, and writes control characters as \u001b.
	if json.Valid([]byte(text)) || everyLine(text, func(line string) bool {
		return json.Valid([]byte(line))
	}) {
		return
	}
	for i, r := range text {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) {
			t.Errorf("%s has %q: …%q…", where, r, text[max(0, i-60):min(len(text), i+40)])
			return
		}
	}
}

func everyLine(text string, holds func(line string) bool) bool {
	for line := range strings.Lines(text) {
		if !holds(line) {
			return false
		}
	}
	return true
}

// checkFiles looks at everything below the folder, but for the set that the test made.
func checkFiles(t *testing.T, dir string) {
	t.Helper()
	seen := make(map[string]int)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		if name == "own" {
			return filepath.SkipDir
		}
		if base := entry.Name(); strings.ContainsFunc(base, unicode.IsControl) ||
			strings.ContainsAny(base, `<>:"|?*\`) || reservedName.MatchString(base) {
			t.Errorf("a file is called %q", name)
		}
		if entry.IsDir() {
			return nil
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		kind := filepath.Ext(name)
		seen[kind]++
		switch kind {
		case ".svg":
			checkMarkup(t, name, raw)
		case ".html":
			checkPage(t, name, string(raw))
		case ".csv":
			checkTable(t, name, raw)
		case ".md":
			checkMarkdown(t, name, string(raw))
		case ".json":
			if !json.Valid(raw) {
				t.Errorf("%s is no JSON", name)
			}
		case ".txt", ".yaml", ".log":
			if name != "net.yaml" && name != "study.yaml" {
				checkInert(t, name, string(raw))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{".svg", ".html", ".csv", ".md", ".json", ".txt"} {
		if seen[kind] == 0 {
			t.Errorf("no %s file was written: %v", kind, seen)
		}
	}
	t.Logf("files looked at: %v", seen)
}

// Names that Windows keeps for devices, whatever follows the point.
var reservedName = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?$|[. ]$`)

// checkMarkup reads a picture as XML, and reports what would run.
func checkMarkup(t *testing.T, name string, raw []byte) {
	t.Helper()
	decoder := xml.NewDecoder(bytes.NewReader(raw))
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if slices.Contains([]string{"script", "img", "image", "foreignObject", "iframe"},
			element.Name.Local) {
			t.Errorf("%s has an element %s", name, element.Name.Local)
		}
		for _, attribute := range element.Attr {
			if strings.HasPrefix(strings.ToLower(attribute.Name.Local), "on") ||
				strings.Contains(attribute.Value, "javascript:") {
				t.Errorf("%s has the attribute %s=%q", name, attribute.Name.Local, attribute.Value)
			}
		}
	}
}

// checkPage reports tags and links that a name has made.
func checkPage(t *testing.T, name, text string) {
	t.Helper()
	for _, tag := range regexp.MustCompile(`<[a-zA-Z][^>]*>`).FindAllString(text, -1) {
		if strings.Contains(tag, "alert(1)") || regexp.MustCompile(`(?i)\son[a-z]+\s*=`).
			MatchString(tag) ||
			strings.Contains(tag, `="javascript:`) {
			t.Errorf("%s has the tag %q", name, tag)
		}
	}
	checkInert(t, name, text)
}

// checkTable reports cells that a spreadsheet computes.
func checkTable(t *testing.T, name string, raw []byte) {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	for _, row := range rows {
		for _, cell := range row {
			_, err := strconv.ParseFloat(cell, 64)
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") && err != nil {
				t.Errorf("%s has the cell %q", name, cell)
			}
			checkInert(t, name, cell)
		}
	}
}

// checkMarkdown reports HTML and links that a name has made, and table rows that it broke.
func checkMarkdown(t *testing.T, name, text string) {
	t.Helper()
	checkInert(t, name, text)
	columns := 0
	for _, line := range strings.Split(text, "\n") {
		bare := regexp.MustCompile("`[^`]*`").ReplaceAllString(line, "")
		if regexp.MustCompile(`(^|[^\\])<(script|img)`).MatchString(bare) {
			t.Errorf("%s has the tag in %q", name, line)
		}
		if regexp.MustCompile(`(^|[^\\])\[[^\[\]]*\]\(javascript:`).MatchString(bare) {
			t.Errorf("%s has the link in %q", name, line)
		}
		cells := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
		if !strings.HasPrefix(line, "|") {
			columns = 0
		} else if columns == 0 {
			columns = cells
		} else if cells != columns {
			t.Errorf("%s: a row of a table with %d bars has %d: %q", name, columns, cells, line)
		}
	}
}

// writeStrangeSet writes a folder of pictures for each of the names.
func writeStrangeSet(t *testing.T, dir string) {
	t.Helper()
	for class, name := range strangeNames() {
		if name == ".." {
			name = "..."
		}
		folder := filepath.Join(dir, "own", name)
		if err := os.MkdirAll(folder, 0o777); err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			drawn := image.NewGray(image.Rect(0, 0, 8, 8))
			for p := range drawn.Pix {
				drawn.Pix[p] = uint8(20*class + 3*i + p%5)
			}
			drawn.SetGray(i, class%8, color.Gray{255})
			var file bytes.Buffer
			if err := png.Encode(&file, drawn); err != nil {
				t.Fatal(err)
			}
			base := strings.ReplaceAll(strangeNames()[(class+i)%len(strangeNames())], "/", "")
			if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%s%d.png", base, i)), file.Bytes(),
				0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// writeStrangeStudy writes a network and a study that asks a strange question. Names of networks
// and layers that are no words are refused.
func writeStrangeStudy(t *testing.T, dir string) {
	t.Helper()
	quoted := func(name string) string {
		raw, err := json.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	classes := len(strangeNames())
	files := map[string]string{
		"net.yaml": fmt.Sprintf("name: net\ninput: [1, 8, 8]\nlayers:\n- flatten\n- dense: {units: %d}\n",
			classes),
		"study.yaml": fmt.Sprintf(`question: %s
data: own
test: own
networks:
  tiny:
    input: [1, 8, 8]
    layers:
    - flatten
    - dense: {units: %d}
base: tiny
fixed: {epochs: 1, batch_size: 4, pixels: measured}
grid: {learning_rate: [0.001, 0.01]}
`, quoted(strings.Join(strangeNames(), " ")), classes),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// renameGraph writes a model whose producer, graph, values, nodes and metadata have strange names.
func renameGraph(t *testing.T, from, to string) {
	t.Helper()
	model, err := onnx.Read(from)
	if err != nil {
		t.Fatal(err)
	}
	graph, names, next := model.Proto.Graph, strangeNames(), 0
	changed := make(map[string]string)
	rename := func(name string) string {
		if name == "" {
			return ""
		}
		if changed[name] == "" {
			changed[name] = fmt.Sprint(names[next%len(names)], next)
			next++
		}
		return changed[name]
	}
	for _, node := range graph.Node {
		node.Name = proto.String(rename("node " + node.GetName()))
		for i := range node.Input {
			node.Input[i] = rename(node.Input[i])
		}
		for i := range node.Output {
			node.Output[i] = rename(node.Output[i])
		}
	}
	for _, tensor := range graph.Initializer {
		tensor.Name = proto.String(rename(tensor.GetName()))
	}
	for _, values := range [][]*onnxpb.ValueInfoProto{graph.Input, graph.Output, graph.ValueInfo} {
		for _, value := range values {
			value.Name = proto.String(rename(value.GetName()))
		}
	}
	graph.Name, graph.DocString = proto.String(names[1]), proto.String(strings.Join(names, " "))
	model.Proto.ProducerName, model.Proto.ProducerVersion = proto.String(names[0]), proto.String(
		names[2])
	for _, name := range names {
		model.Proto.MetadataProps = append(model.Proto.MetadataProps,
			&onnxpb.StringStringEntryProto{Key: proto.String("key " + name), Value: proto.String(name)})
	}
	if err := model.Write(to); err != nil {
		t.Fatal(err)
	}
}
