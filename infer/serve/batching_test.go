package serve_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"slipway/infer"
	"slipway/infer/serve"
	"slipway/onnx/onnxpb"
)

// ask1 posts one 28×28 image to a model and returns its scores.
func (s *served) ask1(t *testing.T, model string, values []float32) []float32 {
	body, length := binaryRequest("image", "FP32", []int{1, 1, 28, 28}, values, true)
	_, got := s.ask("POST", "/v2/models/"+model+"/infer",
		map[string]string{"Inference-Header-Content-Length": length}, body).scores(t)
	return got
}

// metric returns the sum of the values whose line begins so.
func (s *served) metric(t *testing.T, begin string) float64 {
	t.Helper()
	sum := 0.0
	for line := range strings.Lines(string(s.ask("GET", "/metrics", nil, nil).body)) {
		if strings.HasPrefix(line, begin) {
			var value float64
			if _, err := fmt.Sscan(line[strings.LastIndex(line, " ")+1:], &value); err != nil {
				t.Fatal(err)
			}
			sum += value
		}
	}
	return sum
}

// Images have the same bits alone, with those of other clients, and in one request of many: who
// shares a batch is nobody's business.
func TestNoAnswerDependsOnWhoSharesTheBatch(t *testing.T) {
	const clients, images = 16, 4
	e1 := filepath.Join("..", "..", "graphs", "e1.onnx")
	s := start(t, serve.Config{Models: []string{e1, modelFile("fixed4")}, MaxBatch: 8,
		MaxWait: 200 * time.Millisecond})
	for _, model := range []string{"e1", "fixed4"} {
		path := map[string]string{"e1": e1, "fixed4": modelFile("fixed4")}[model]
		want := make([][]float32, clients*images)
		values := noise(3, len(want), 28*28)
		alone := func(i int) []float32 { return values[i*784 : (i+1)*784] }
		for i := range want {
			want[i] = expected(t, path, infer.Batch{N: 1, C: 1, H: 28, W: 28, Pixels: alone(i)})
		}
		var group sync.WaitGroup
		for client := range clients {
			group.Go(func() {
				for i := client * images; i < (client+1)*images; i++ {
					if got := s.ask1(t, model, alone(i)); !slices.Equal(got, want[i]) {
						t.Errorf("%s: image %d has other scores beside others", model, i)
					}
				}
			})
		}
		group.Wait()
		// The test is of something only where images shared batches.
		batches := s.metric(t, `slipway_batch_images_count{model="`+model+`"`)
		computed := s.metric(t, `slipway_batch_images_sum{model="`+model+`"`)
		if computed != clients*images || batches >= computed {
			t.Errorf("%s: %v images in %v batches", model, computed, batches)
		}
		all := slices.Concat(want...)
		body := request("image", "FP32", []int{len(want), 1, 28, 28}, values)
		_, got := s.ask("POST", "/v2/models/"+model+"/infer", nil, body).scores(t)
		if !slices.Equal(got, all) {
			t.Errorf("%s: a request of %d images has other scores", model, len(want))
		}
	}
}

// Batches that are computed at the same time, on some threads each, have the bits of one alone.
func TestNoAnswerDependsOnWhatElseIsComputed(t *testing.T) {
	const clients, images = 12, 64
	e1 := filepath.Join("..", "..", "graphs", "e1.onnx")
	s := start(t, serve.Config{Models: []string{e1}, RuntimeOptions: infer.RuntimeOptions{Threads: 3}})
	values := noise(4, clients*images, 28*28)
	var group sync.WaitGroup
	for client := range clients {
		group.Go(func() {
			own := values[client*images*784 : (client+1)*images*784]
			want := expected(t, e1, infer.Batch{N: images, C: 1, H: 28, W: 28, Pixels: own})
			body, length := binaryRequest("image", "FP32", []int{images, 1, 28, 28}, own, true)
			for range 4 {
				_, got := s.ask("POST", "/v2/models/e1/infer",
					map[string]string{"Inference-Header-Content-Length": length}, body).scores(t)
				if !slices.Equal(got, want) {
					t.Errorf("client %d has other scores beside others", client)
				}
			}
		})
	}
	group.Wait()
}

// Where onnxruntime runs, requests stay apart, and are answered all the same.
func TestONNXRuntimeServes(t *testing.T) {
	if _, err := infer.FindLibrary("", false); err != nil {
		t.Skipf("no onnxruntime: %v; make setup brings it", err)
	}
	s := start(t, serve.Config{Models: []string{modelFile("small")}, Runtime: infer.RuntimeONNXRuntime,
		RuntimeOptions: infer.RuntimeOptions{Device: infer.DeviceCPU}})
	var group sync.WaitGroup
	values := noise(5, 8, 784)
	got := make([][]float32, 8)
	for i := range got {
		group.Go(func() { got[i] = s.ask1(t, "small", values[i*784:(i+1)*784]) })
	}
	group.Wait()
	for i := range got {
		if again := s.ask1(t, "small", values[i*784:(i+1)*784]); !slices.Equal(got[i], again) {
			t.Errorf("image %d: %v, then %v", i, got[i], again)
		}
	}
	if batches := s.metric(t, `slipway_batch_images_count`); batches != 16 {
		t.Errorf("%v batches of 16 requests", batches)
	}
	if m := s.metadata("/v2/models/small"); m.Platform != "onnx_onnxruntime" {
		t.Errorf("%+v", m)
	}
}

// More requests than may wait are refused at once, and those that wait are answered.
func TestAFullQueueIsToldAtOnce(t *testing.T) {
	// Nothing is computed before MaxWait ends, so that what comes meanwhile waits.
	s := start(t, serve.Config{Models: []string{modelFile("small")}, MaxBatch: 64,
		MaxWait: 300 * time.Millisecond, Limits: serve.Limits{Requests: 2}})
	var group sync.WaitGroup
	statuses := make([]int, 24)
	body, length := binaryRequest("image", "FP32", []int{1, 1, 28, 28}, noise(1, 1, 784), true)
	for i := range statuses {
		group.Go(func() {
			a := s.ask("POST", "/v2/models/small/infer",
				map[string]string{"Inference-Header-Content-Length": length}, body)
			if statuses[i] = a.status; a.status == http.StatusServiceUnavailable {
				a.wantError(t, 503, "2 requests are being answered already")
				if a.header.Get("Retry-After") == "" {
					t.Error("it does not say when to ask again")
				}
			}
		})
	}
	group.Wait()
	if !slices.Contains(statuses, 200) || !slices.Contains(statuses, 503) {
		t.Errorf("answered with %v", statuses)
	}
	if refused := s.metric(t, `slipway_refused_total{limit="requests"}`); refused == 0 {
		t.Error("no refusal is counted")
	}
}

// singleModel writes a model that promises any number of images, and takes one: as it was exported
// with the size of its example, it makes one row of whatever it is given.
func singleModel(t *testing.T, path string) {
	t.Helper()
	value := func(name string, last int64,
		batch *onnxpb.TensorShapeProto_Dimension) *onnxpb.ValueInfoProto {
		return &onnxpb.ValueInfoProto{Name: proto.String(name), Type: &onnxpb.TypeProto{
			Value: &onnxpb.TypeProto_TensorType{TensorType: &onnxpb.TypeProto_Tensor{
				ElemType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)),
				Shape: &onnxpb.TensorShapeProto{Dim: []*onnxpb.TensorShapeProto_Dimension{batch,
					{Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: last}}}}}}}}
	}
	many := &onnxpb.TensorShapeProto_Dimension{
		Value: &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: "N"}}
	one := &onnxpb.TensorShapeProto_Dimension{
		Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: 1}}
	weights := make([]float32, 12*3)
	for i := range weights {
		weights[i] = float32(i)
	}
	model := &onnxpb.ModelProto{IrVersion: proto.Int64(8),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(13)}},
		Graph: &onnxpb.GraphProto{Name: proto.String("single"),
			Node: []*onnxpb.NodeProto{
				{OpType: proto.String("Reshape"), Input: []string{"image", "shape"}, Output: []string{"row"}},
				{OpType: proto.String("MatMul"), Input: []string{"row", "weights"},
					Output: []string{"scores"}}},
			Initializer: []*onnxpb.TensorProto{
				{Name: proto.String("shape"), Dims: []int64{2}, Int64Data: []int64{1, 12},
					DataType: proto.Int32(int32(onnxpb.TensorProto_INT64))},
				{Name: proto.String("weights"), Dims: []int64{12, 3}, FloatData: weights,
					DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT))}},
			Input:  []*onnxpb.ValueInfoProto{value("image", 12, many)},
			Output: []*onnxpb.ValueInfoProto{value("scores", 3, one)}}}
	raw, err := proto.Marshal(model)
	if err != nil {
		t.Fatal(err)
	}
	put(t, path, string(raw))
}

// A model that takes one image at a time, though it promises any number, is served so.
func TestAModelOfOneImage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "single.onnx")
	singleModel(t, path)
	s := start(t, serve.Config{Models: []string{path}})
	values := noise(1, 3, 12)
	_, got := s.ask("POST", "/v2/models/single/infer", nil, request("image", "FP32", []int{3, 12},
		values)).scores(t)
	var want []float32
	for i := range 3 {
		want = append(want, expected(t, path, infer.Batch{N: 1, C: 1, H: 1, W: 12,
			Pixels: values[12*i : 12*i+12]})...)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
