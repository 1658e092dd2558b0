package classify_test

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"slipway/dataset/feed"
	"slipway/dataset/picture"
	"slipway/infer"
	"slipway/infer/classify"
	"slipway/internal/graphmaker"
	"slipway/internal/librarytest"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// TestMain shows the tests the repository's onnxruntime.
func TestMain(m *testing.M) { librarytest.Main(m) }

// colourModel tells three classes of 3×16×16 images apart and records how it is fed.
func colourModel(t testing.TB) *onnx.Model {
	t.Helper()
	model := plainModel()
	err := model.SetTrainingRecord(onnx.TrainingRecord{
		DataSet: "own", Elsewhere: true, Sizing: "resize 16×16 crop bilinear",
		ClassLabels: []string{"ant", "bee", "cat"}, PixelScale: 1.0 / 255,
	})
	if err != nil {
		t.Fatal(err)
	}
	return model
}

// plainModel is colourModel without a record.
func plainModel() *onnx.Model {
	return graphmaker.New(graphmaker.Free, 3, 16, 16).Weight("k", -0.4, 0.4, 3, 3, 3, 3).
		Node("c = Conv x k").Node("r = Relu c").Node("p = GlobalAveragePool r").
		Node("y = Flatten p").Model()
}

func opened(t testing.TB, model *onnx.Model, options ...classify.Option) *classify.Classifier {
	t.Helper()
	c, err := classify.New(model, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// noise is an image in colour, another one for each seed.
func noise(width, height int, seed uint64) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	source := rand.New(rand.NewPCG(seed, 1))
	for i := range m.Pix {
		m.Pix[i] = uint8(source.IntN(256))
		if i%4 == 3 {
			m.Pix[i] = 255
		}
	}
	return m
}

func mustClassify(t testing.TB, c *classify.Classifier, m image.Image) []classify.Result {
	t.Helper()
	results, err := c.Classify(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// What Open found out is said: the input, the classes, and what runs the model.
func TestWhatAClassifierSays(t *testing.T) {
	c := opened(t, colourModel(t), classify.WithSessions(3), classify.WithThreads(2))
	want := classify.Input{Name: "x", Type: "float", Channels: 3, Height: 16, Width: 16,
		Pixels: "x/255", Sizing: "resize 16×16 crop bilinear"}
	if got := c.Input(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := c.Labels(); !slices.Equal(got, []string{"ant", "bee", "cat"}) {
		t.Errorf("labels %q", got)
	}
	c.Labels()[0] = "changed"
	if c.Labels()[0] != "ant" {
		t.Error("the caller's change of the labels is seen")
	}
	if got := c.Info(); got.Runtime != "native" || got.Threads != 2 || c.Sessions() != 3 {
		t.Errorf("%+v, %d sessions", got, c.Sessions())
	}
	e1, err := classify.Open("../../graphs/e1.onnx")
	if err != nil {
		t.Fatal(err)
	}
	defer e1.Close()
	if got := e1.Input(); got.Channels != 1 || got.Height != 28 || got.Sizing != "" ||
		got.Pixels != "x" {
		t.Errorf("%+v", got)
	}
	if got := e1.Labels(); len(got) != 10 || got[7] != "7" {
		t.Errorf("labels %q", got)
	}
}

// The results are the probabilities of all classes in order, and those of WithTop the first of
// them.
func TestResultsAreInOrder(t *testing.T) {
	m := noise(20, 30, 1)
	all := mustClassify(t, opened(t, colourModel(t)), m)
	sum := 0.0
	for i, r := range all {
		sum += r.Probability
		if i > 0 && r.Probability > all[i-1].Probability ||
			r.Label != []string{"ant", "bee", "cat"}[r.Class] {
			t.Errorf("%+v after %+v", r, all[max(i-1, 0)])
		}
	}
	if len(all) != 3 || sum < 0.999 || sum > 1.001 {
		t.Errorf("%+v sum to %v", all, sum)
	}
	for _, n := range []int{1, 2, 3, 50} {
		top := mustClassify(t, opened(t, colourModel(t), classify.WithTop(n)), m)
		if !slices.Equal(top, all[:min(n, 3)]) {
			t.Errorf("the first %d are %+v, of %+v", n, top, all)
		}
	}
}

// An image gives the same answer in every type that holds its pixels, in a batch, as an encoded
// picture, and decoded.
func TestOneImageOneAnswer(t *testing.T) {
	c := opened(t, colourModel(t))
	m := noise(19, 33, 2)
	want := mustClassify(t, c, m)
	images := map[string]image.Image{"NRGBA": m, "any type": anyImage{m},
		"part of a larger": partOf(m)}
	rgba, wide := image.NewRGBA(m.Rect), image.NewNRGBA64(m.Rect)
	for y := range 33 {
		for x := range 19 {
			rgba.Set(x, y, m.At(x, y))
			wide.Set(x, y, m.At(x, y))
		}
	}
	images["RGBA"], images["NRGBA64"] = rgba, wide
	var encoded bytes.Buffer
	if err := png.Encode(&encoded, m); err != nil {
		t.Fatal(err)
	}
	decoded, err := c.Decode(bytes.NewReader(encoded.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	images["decoded"] = decoded
	if decoded.Bounds() != m.Bounds() || decoded.At(3, 4) != rgba.At(3, 4) ||
		decoded.At(-1, 0) != (color.RGBA{}) {
		t.Errorf("decoded: %v, %v", decoded.Bounds(), decoded.At(3, 4))
	}
	var batch []image.Image
	for name, m := range images {
		batch = append(batch, m)
		if got := mustClassify(t, c, m); !slices.Equal(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	read, err := c.ClassifyReader(t.Context(), &encoded)
	if err != nil || !slices.Equal(read, want) {
		t.Errorf("encoded: %+v, %v, want %+v", read, err, want)
	}
	answers, err := c.ClassifyBatch(t.Context(), batch)
	for i, got := range answers {
		if !slices.Equal(got, want) {
			t.Errorf("image %d of a batch: %+v, want %+v", i, got, want)
		}
	}
	if err != nil || len(answers) != len(batch) {
		t.Errorf("%d answers, %v", len(answers), err)
	}
}

// anyImage hides the type of an image.
type anyImage struct{ image.Image }

// partOf is the image as a part of a larger one, which begins elsewhere.
func partOf(m *image.NRGBA) image.Image {
	larger := image.NewNRGBA(image.Rect(-5, -7, m.Rect.Dx()+9, m.Rect.Dy()+2))
	for y := range m.Rect.Dy() {
		for x := range m.Rect.Dx() {
			larger.Set(x+2, y-3, m.At(x, y))
		}
	}
	return larger.SubImage(image.Rect(2, -3, 2+m.Rect.Dx(), m.Rect.Dy()-3))
}

// Batches of any size, also larger than a run takes, are answered as their images are alone.
func TestBatchesAnswerAsSingleImages(t *testing.T) {
	c := opened(t, colourModel(t))
	var images []image.Image
	var want [][]classify.Result
	for i := range 150 {
		m := noise(16+i%5, 16+i%7, uint64(i))
		images, want = append(images, m), append(want, mustClassify(t, c, m))
	}
	for _, n := range []int{1, 2, 5, 64, 65, 150} {
		got, err := c.ClassifyBatch(t.Context(), images[:n])
		if err != nil || !reflect.DeepEqual(got, want[:n]) {
			t.Errorf("a batch of %d: %v", n, err)
		}
	}
	if got, err := c.ClassifyBatch(t.Context(), nil); got != nil || err != nil {
		t.Errorf("no images: %v, %v", got, err)
	}
	if _, err := c.ClassifyBatch(t.Context(), []image.Image{images[0], nil}); err == nil ||
		!strings.Contains(err.Error(), "image 1: picture: there is no image") {
		t.Errorf("an image that is none: %v", err)
	}
}

// Options take the place of what a model does not record.
func TestOptionsSayWhatAModelDoesNot(t *testing.T) {
	m := noise(40, 30, 3)
	want := mustClassify(t, opened(t, colourModel(t)), m)
	sizing, err := picture.ParseSizing("resize 16×16 crop bilinear")
	if err != nil {
		t.Fatal(err)
	}
	c := opened(t, plainModel(), classify.WithSizing(sizing),
		classify.WithPixels(feed.UnitPixels()),
		classify.WithLabels("ant", "bee", "cat"), classify.WithOutput("y"))
	if got := mustClassify(t, c, m); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	bare := opened(t, plainModel())
	if got := bare.Labels(); !slices.Equal(got, []string{"0", "1", "2"}) {
		t.Errorf("without names: %q", got)
	}
	if _, err := bare.Classify(t.Context(), m); err == nil ||
		!strings.Contains(err.Error(), "WithSizing gives one") {
		t.Errorf("an image of another size: %v", err)
	}
	if got := mustClassify(t, bare, noise(16, 16, 3)); len(got) != 3 {
		t.Errorf("%+v", got)
	}
}

// What does not apply to a model, or is out of range, is refused when it is opened.
func TestOptionsThatDoNotApply(t *testing.T) {
	large, err := picture.ParseSizing("resize 17×16 crop bilinear")
	if err != nil {
		t.Fatal(err)
	}
	two, err := feed.ChannelPixels([]float64{0, 0}, []float64{1, 1})
	if err != nil {
		t.Fatal(err)
	}
	other := func(*onnx.Model) (classify.Runtime, error) { return nil, nil }
	for want, options := range map[string][]classify.Option{
		"there are 2 names, and the model gives 3 scores": {classify.WithLabels("a", "b")},
		"there is no name":             {classify.WithLabels()},
		`"resize 17×16 crop bilinear"`: {classify.WithSizing(large)},
		"a size of 0×0 pixels":         {classify.WithSizing(picture.Sizing{})},
		"which is of 2 channels":       {classify.WithPixels(two)},
		"WithTop(0)":                   {classify.WithTop(0)},
		"WithThreads(0)":               {classify.WithThreads(0)},
		"WithSessions(-1)":             {classify.WithSessions(-1)},
		"WithLimits(-1, 0)":            {classify.WithLimits(-1, 0)},
		"the name is empty":            {classify.WithOutput("")},
		`no output "z"`:                {classify.WithOutput("z")},
		"option 1 is nil":              {classify.WithTop(1), nil},
		"there is no function":         {classify.WithRuntime(nil)},
		"the function gave no runtime": {classify.WithRuntime(other)},
		"WithThreads is of the native": {classify.WithRuntime(other), classify.WithThreads(2)},
	} {
		c, err := classify.New(colourModel(t), options...)
		if err == nil || !strings.Contains(err.Error(), want) || c != nil {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := classify.Open(filepath.Join(t.TempDir(), "none.onnx")); err == nil ||
		!strings.Contains(err.Error(), "none.onnx") {
		t.Errorf("no file: %v", err)
	}
	if _, err := classify.New(nil); err == nil ||
		!strings.Contains(err.Error(), "there is no model") {
		t.Errorf("no model: %v", err)
	}
}

// Bad pictures are errors of package picture, and what is larger than the limits is not decoded.
func TestBadPictures(t *testing.T) {
	c := opened(t, colourModel(t), classify.WithLimits(1000, 100_000))
	var small, large bytes.Buffer
	if err := errors.Join(png.Encode(&small, noise(20, 20, 1)),
		png.Encode(&large, noise(40, 26, 1))); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		data []byte
		want error
	}{
		"a text":          {[]byte("not a picture"), picture.ErrFormat},
		"nothing":         {nil, picture.ErrFormat},
		"cut off":         {small.Bytes()[:60], picture.ErrTruncated},
		"too many pixels": {large.Bytes(), picture.ErrTooLarge},
		"too many bytes":  {make([]byte, 100_001), picture.ErrTooLarge},
	} {
		if _, err := c.ClassifyReader(t.Context(), bytes.NewReader(test.data)); !errors.Is(err,
			test.want) || !errors.Is(err, classify.ErrPicture) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Classify(t.Context(), noise(40, 26, 1)); !errors.Is(err, picture.ErrTooLarge) {
		t.Errorf("an image: %v", err)
	}
	if _, err := c.Classify(t.Context(), image.NewGray(image.Rect(0, 0, 0, 5))); err == nil {
		t.Error("an image without pixels is classified")
	}
	if got := mustClassify(t, c, noise(20, 20, 1)); len(got) != 3 {
		t.Errorf("after them: %v", got)
	}
}

// Scores that are no numbers are no answer.
func TestScoresThatAreNone(t *testing.T) {
	model := graphmaker.New(graphmaker.Free, 1, 2, 2).Node("f = Flatten x").Node("l = Log f").
		Node("y = Sub l l").Model()
	c := opened(t, model)
	black, white := image.NewGray(image.Rect(0, 0, 2, 2)), image.NewGray(image.Rect(0, 0, 2, 2))
	for i := range white.Pix {
		white.Pix[i] = 255
	}
	if got, err := c.Classify(t.Context(), black); !errors.Is(err, classify.ErrNotFinite) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := c.ClassifyBatch(t.Context(), []image.Image{white, black}); !errors.Is(err,
		classify.ErrNotFinite) || !strings.Contains(err.Error(), "image 1") {
		t.Error(err)
	}
}

// A model whose image size is open takes any size, and says how many classes it has.
func TestAModelOfAnySize(t *testing.T) {
	model := plainModel()
	for i, dim := range model.Proto.Graph.Input[0].Type.GetTensorType().Shape.Dim[2:] {
		dim.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: []string{"height",
			"width"}[i]}
	}
	c := opened(t, model)
	if in := c.Input(); in.Channels != 3 || in.Height != 0 || in.Width != 0 {
		t.Errorf("%+v", in)
	}
	for _, side := range []int{5, 16, 9} {
		if got := mustClassify(t, c, noise(side, side+1, 1)); len(got) != 3 {
			t.Errorf("%d pixels: %v", side, got)
		}
	}
	if got := c.Labels(); len(got) != 3 {
		t.Errorf("labels %q", got)
	}
}

// Tensors give the model's own scores, those of the batch's images.
func TestScores(t *testing.T) {
	c := opened(t, colourModel(t), classify.WithSessions(1))
	batch := classify.Batch{N: 2, C: 3, H: 16, W: 16, Pixels: make([]float32, 2*3*16*16)}
	for i := range batch.Pixels {
		batch.Pixels[i] = float32(i%7) / 7
	}
	scores, err := c.Scores(t.Context(), batch)
	if err != nil || scores.N != 2 || scores.K != 3 {
		t.Fatalf("%+v, %v", scores, err)
	}
	runtime, err := infer.OpenNative(t.Context(), colourModel(t), infer.NativeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.Close()
	want, err := runtime.Run(t.Context(), batch)
	mustClassify(t, c, noise(16, 16, 9)) // which does not write over the scores
	if err != nil || !slices.Equal(scores.Values, want.Values) {
		t.Errorf("%v, want %v, %v", scores, want, err)
	}
	batch.H = 15
	if _, err := c.Scores(t.Context(), batch); err == nil {
		t.Error("a batch of another shape is taken")
	}
}
