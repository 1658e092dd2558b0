package serve_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"slipway/dataset/picture"
	"slipway/infer"
	"slipway/infer/serve"
	"slipway/internal/graphmaker"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// drawn is a picture of that size with something in it.
func drawn(width, height int) image.Image {
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.Set(x, y, color.RGBA{uint8(7 * x), uint8(5 * y), uint8(x * y), 255})
		}
	}
	return m
}

func asPNG(t *testing.T, m image.Image) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := png.Encode(&file, m); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func asJPEG(t *testing.T, m image.Image) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := jpeg.Encode(&file, m, nil); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// recorded writes a model with that record of how pictures become its input.
func recorded(t *testing.T, name string, record onnx.TrainingRecord) string {
	t.Helper()
	model, err := onnx.Read(modelFile(name))
	if err != nil {
		t.Fatal(err)
	}
	if err := model.SetTrainingRecord(record); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name+".onnx")
	if err := model.Write(path); err != nil {
		t.Fatal(err)
	}
	return path
}

type classified struct {
	ModelName    string `json:"model_name"`
	ModelVersion string `json:"model_version"`
	Top          []struct {
		Class       int
		Name        string
		Probability float64
	}
}

func (s *served) classify(t *testing.T, path, kind string, file []byte) classified {
	t.Helper()
	a := s.ask("POST", path, map[string]string{"Content-Type": kind}, file)
	var said classified
	if err := json.Unmarshal(a.body, &said); err != nil || a.status != http.StatusOK {
		t.Fatalf("%s: %d %v %s", path, a.status, err, a.body)
	}
	return said
}

// A picture of any size and format is brought to the model's size and told of by its classes, as
// the model's record says; what the record does is done here once more, with package picture.
func TestClassifyFollowsTheRecord(t *testing.T) {
	names := strings.Fields("zero one two three <b>four</b> five six seven eight nine")
	record := onnx.TrainingRecord{ClassLabels: names, Sizing: "resize 28×28 crop bilinear",
		PixelScale: 1.0 / 255, PixelOffset: -0.5}
	path := recorded(t, "small", record)
	s := start(t, serve.Config{Models: []string{path}})
	for kind, file := range map[string][]byte{"image/png": asPNG(t, drawn(90, 61)),
		"image/jpeg": asJPEG(t, drawn(28, 28)), "application/octet-stream": asPNG(t, drawn(28, 300))} {
		decoded, err := picture.Decode(file, picture.Options{Channels: 1})
		if err != nil {
			t.Fatal(err)
		}
		sized, err := picture.Sizing{Height: 28, Width: 28, Fit: picture.Crop}.Apply(decoded)
		if err != nil {
			t.Fatal(err)
		}
		pixels, err := infer.PixelsOf(record)
		if err != nil {
			t.Fatal(err)
		}
		batch := infer.Batch{N: 1, C: 1, H: 28, W: 28, Pixels: make([]float32, 784)}
		if err := pixels.Feed(batch.Pixels, sized.Pixels, 1, 784); err != nil {
			t.Fatal(err)
		}
		scores := expected(t, path, batch)
		want := infer.Head{Operator: "Softmax"}.Apply(infer.Logits{N: 1, K: 10, Values: scores}).Values
		said := s.classify(t, "/v2/models/small/classify?top=10", kind, file)
		if said.ModelName != "small" || said.ModelVersion != "1" || len(said.Top) != 10 {
			t.Fatalf("%+v", said)
		}
		for _, candidate := range said.Top {
			if candidate.Name != names[candidate.Class] ||
				candidate.Probability != float64(want[candidate.Class]) {
				t.Errorf("%+v, want %v", candidate, want[candidate.Class])
			}
		}
		if !slices.IsSortedFunc(said.Top, func(a, b struct {
			Class       int
			Name        string
			Probability float64
		}) int {
			return cmp.Compare(b.Probability, a.Probability)
		}) {
			t.Errorf("not the most probable first: %+v", said.Top)
		}
		if few := s.classify(t, "/v2/models/small/versions/1/classify", kind, file); len(few.Top) != 5 ||
			few.Top[0] != said.Top[0] {
			t.Errorf("%+v", few)
		}
	}
}

// A model whose pictures have any number of labels tells which a picture has; none is an empty
// list.
func TestClassifyTellsLabels(t *testing.T) {
	several := onnx.TrainingRecord{Probabilities: onnx.SigmoidOfScores, LabelsPerImage: onnx.AnyLabels}
	s := start(t, serve.Config{Models: []string{recorded(t, "small", several)}})
	for _, seed := range []int{0, 1} {
		file := asPNG(t, drawn(28, 28))
		if seed == 1 { // black
			file = asPNG(t, image.NewGray(image.Rect(0, 0, 28, 28)))
		}
		a := s.ask("POST", "/v2/models/small/classify?top=10",
			map[string]string{"Content-Type": "image/png"}, file)
		var said struct {
			Top, Labels []struct {
				Class       int
				Probability float64
			}
		}
		if err := json.Unmarshal(a.body, &said); err != nil || said.Labels == nil {
			t.Fatalf("%d %v %s", a.status, err, a.body)
		}
		want := 0
		for want < len(said.Top) && said.Top[want].Probability > 0.5 {
			want++
		}
		if len(said.Top) != 10 || !slices.Equal(said.Labels, said.Top[:want]) {
			t.Errorf("the labels are %v, of %v", said.Labels, said.Top)
		}
	}
	one := start(t, serve.Config{Models: []string{recorded(t, "small", onnx.TrainingRecord{})}})
	a := one.ask("POST", "/v2/models/small/classify", map[string]string{"Content-Type": "image/png"},
		asPNG(t, drawn(28, 28)))
	if a.status != http.StatusOK || strings.Contains(string(a.body), "labels") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Models of every layout and of every last function tell probabilities that sum to 1.
func TestClassifyOfEveryForm(t *testing.T) {
	forms := []string{"small", "fixed4", "nhwc", "nhw", "flat", "uint8", "softmax"}
	var files []string
	for _, name := range forms {
		files = append(files, modelFile(name))
	}
	s := start(t, serve.Config{Models: files})
	// Some say nothing of channels, and take a picture as it is: a grey one.
	grey := image.NewGray(image.Rect(0, 0, 28, 28))
	draw.Draw(grey, grey.Bounds(), drawn(28, 28), image.Point{}, draw.Src)
	var first classified
	for i, name := range forms {
		said := s.classify(t, "/v2/models/"+name+"/classify?top=10", "image/png", asPNG(t, grey))
		sum := 0.0
		for _, candidate := range said.Top {
			sum += candidate.Probability
		}
		if sum < 0.9999 || sum > 1.0001 {
			t.Errorf("%s: they sum to %v", name, sum)
		}
		if i == 0 {
			first = said
		}
		if said.Top[0].Class != first.Top[0].Class {
			t.Errorf("%s answers %+v, %s %+v", name, said.Top[0], forms[0], first.Top[0])
		}
	}
}

// What is no picture, or none for this model, is told; the next is answered.
func TestClassifyOfWrongPictures(t *testing.T) {
	s := start(t, serve.Config{Models: []string{modelFile("small"), modelFile("nan")}})
	sound := asPNG(t, drawn(28, 28))
	for name, test := range map[string]struct {
		path, kind string
		file       []byte
		status     int
		says       string
	}{
		"nothing":      {"small", "image/png", nil, 415, ""},
		"a text":       {"small", "image/png", []byte("<svg>"), 415, ""},
		"another type": {"small", "application/json", sound, 415, "post a picture as it is"},
		"a form": {"small", "multipart/form-data; boundary=x", sound, 415,
			"post a picture as it is"},
		"half a file":   {"small", "image/png", sound[:len(sound)/2], 400, ""},
		"another size":  {"small", "image/png", asPNG(t, drawn(29, 28)), 422, "1×28×29 (C×H×W)"},
		"top of none":   {"small/classify?top=0&x=", "image/png", sound, 400, "a number of classes"},
		"another model": {"none", "image/png", sound, 404, "no model"},
		"no number":     {"nan", "image/png", sound, 500, "no number"},
	} {
		t.Run(name, func(t *testing.T) {
			path := "/v2/models/" + test.path
			if !strings.Contains(path, "?") {
				path += "/classify"
			}
			s.ask("POST", path, map[string]string{"Content-Type": test.kind}, test.file).wantError(t,
				test.status, test.says)
		})
	}
	s.classify(t, "/v2/models/small/classify", "", sound)
}

// The page runs its own script alone, whose policy knows it, and writes no text as HTML.
func TestPage(t *testing.T) {
	s := start(t, serve.Config{Models: []string{modelFile("small")}})
	a := s.ask("GET", "/", nil, nil)
	page := string(a.body)
	if a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") ||
		a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d %v", a.status, a.header)
	}
	policy := a.header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || strings.Count(policy, "'sha256-") != 2 ||
		strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %s", policy)
	}
	for _, never := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write",
		"eval(", "http:", "https:", " onclick", "style=", "src=\""} {
		if strings.Contains(page, never) {
			t.Errorf("the page has %s", never)
		}
	}
	if strings.Count(page, "<script>") != 1 || strings.Count(page, "<style>") != 1 {
		t.Error("the policy is of one script and one style")
	}
}

// The class with the highest score comes first, also where the probabilities of others are rounded
// to the same: the sigmoids of these scores are all 1 as float32.
func TestClassifyRanksByScores(t *testing.T) {
	model := graphmaker.New(graphmaker.Free, 1, 8, 8).Weight("w", 0, 0, 64, 3).
		Tensor(&onnxpb.TensorProto{Name: proto.String("b"), Dims: []int64{3},
			DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)), FloatData: []float32{18, 20, 19}}).
		Node("f = Flatten x").Node("y = Gemm f w b").Model()
	if err := model.SetTrainingRecord(onnx.TrainingRecord{
		Probabilities: onnx.SigmoidOfScores,
	}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "surest.onnx")
	if err := model.Write(path); err != nil {
		t.Fatal(err)
	}
	s := start(t, serve.Config{Models: []string{path}})
	said := s.classify(t, "/v2/models/surest/classify?top=2", "image/png", asPNG(t, drawn(8, 8)))
	if len(said.Top) != 2 || said.Top[0].Class != 1 || said.Top[1].Class != 2 ||
		said.Top[0].Probability != 1 {
		t.Errorf("%+v", said.Top)
	}
}
