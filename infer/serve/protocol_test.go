package serve_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"slipway/infer"
	"slipway/infer/serve"
)

// Every form of input is described, and answered in JSON and in binary data with the bits that the
// runtime gives.
func TestInferAnswersAsTheRuntime(t *testing.T) {
	for _, name := range []string{"small", "fixed4", "fixed1", "nhwc", "nhw", "flat", "uint8",
		"softmax", "label_and_scores"} {
		t.Run(name, func(t *testing.T) {
			s := start(t, serve.Config{Models: []string{modelFile(name)}})
			m := s.metadata("/v2/models/" + name)
			in, out := m.Inputs[0], m.Outputs[0]
			const images = 3
			shape := append([]int{images}, in.Shape[1:]...)
			size := 1
			for _, d := range in.Shape[1:] {
				size *= d
			}
			values := noise(7, images, size)
			batch := infer.Batch{N: images, C: 1, H: 1, W: size, Pixels: values}
			if len(shape) > 2 {
				batch.H, batch.W = shape[len(shape)-2], shape[len(shape)-1]
			}
			if len(shape) > 3 {
				batch.C = shape[1]
			}
			want := expected(t, modelFile(name), batch)
			if in.Shape[0] != -1 || !slices.Equal(out.Shape, []int{-1, len(want) / images}) ||
				out.Datatype != "FP32" {
				t.Errorf("described as %+v", m)
			}
			path := "/v2/models/" + name + "/infer"
			said, got := s.ask("POST", path, nil, request(in.Name, in.Datatype, shape, values)).scores(t)
			if !slices.Equal(got, want) || said.ID != `a"b` || said.ModelName != name ||
				said.ModelVersion != "1" ||
				!slices.Equal(said.Outputs[0].Shape, []int{images, len(want) / images}) ||
				said.Outputs[0].Name != out.Name {
				t.Errorf("in JSON: %+v, want %v", said, want)
			}
			for _, binaryAnswer := range []bool{false, true} {
				body, length := binaryRequest(in.Name, in.Datatype, shape, values, binaryAnswer)
				a := s.ask("POST", path, map[string]string{"Inference-Header-Content-Length": length}, body)
				if _, got := a.scores(t); !slices.Equal(got, want) ||
					(a.header.Get("Inference-Header-Content-Length") != "") != binaryAnswer {
					t.Errorf("in binary: %v, want %v", got, want)
				}
			}
			body, length := binaryRequest(in.Name, in.Datatype, shape, values, false)
			var n int
			fmt.Sscan(length, &n)
			if _, got := s.ask("POST", path, map[string]string{"Inference-Header-Content-Length": "0"},
				body[n:]).scores(t); !slices.Equal(got, want) {
				t.Errorf("as raw binary data: %v, want %v", got, want)
			}
		})
	}
}

// Nested data is taken in row-major order, outputs may be named, and a version may be.
func TestInferTakesWhatTheProtocolAllows(t *testing.T) {
	s := start(t, serve.Config{Models: []string{modelFile("flat")}})
	m := s.metadata("/v2/models/flat/versions/1")
	values := noise(1, 2, m.Inputs[0].Shape[1])
	_, want := s.ask("POST", "/v2/models/flat/infer", nil, request(m.Inputs[0].Name, "FP32",
		[]int{2, len(values) / 2}, values)).scores(t)
	half := len(values) / 2
	text, _ := json.Marshal(map[string]any{
		"parameters": map[string]any{"priority": 1, "binary_data_output": true},
		"inputs": []any{map[string]any{"name": m.Inputs[0].Name, "datatype": "FP32",
			"shape": []int{2, half},
			"data":  [][]float32{values[:half], values[half:]}}},
		"outputs": []any{map[string]any{"name": m.Outputs[0].Name,
			"parameters": map[string]any{"binary_data": false}}},
	})
	said, got := s.ask("POST", "/v2/models/flat/versions/1/infer", nil, text).scores(t)
	if !slices.Equal(got, want) || said.ID != "" || len(said.Outputs[0].Parameters) != 0 {
		t.Errorf("%+v", said)
	}
	for coding, pack := range map[string]func(io.Writer) io.WriteCloser{
		"gzip":    func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"deflate": func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) },
	} {
		var packed bytes.Buffer
		w := pack(&packed)
		w.Write(text)
		w.Close()
		_, got := s.ask("POST", "/v2/models/flat/infer", map[string]string{"Content-Encoding": coding},
			packed.Bytes()).scores(t)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v", coding, got)
		}
	}
}

// What is asked of the server itself.
func TestHealthAndMetadata(t *testing.T) {
	s := start(t, serve.Config{Models: []string{modelFile("small"), modelFile("flat")}})
	for path, want := range map[string]string{
		"/v2":                               `"name":"slipway"`,
		"/v2/":                              `"binary_tensor_data"`,
		"/v2/health/live":                   `{"live":true}`,
		"/v2/health/ready":                  `"ready":true`,
		"/v2/models/small/ready":            `{"name":"small","ready":true}`,
		"/v2/models/flat/versions/1":        `"versions":["1"]`,
		"/v2/models/small/versions/1/ready": `"ready":true`,
		"/metrics":                          `slipway_model_info{model="small",`,
	} {
		if a := s.ask("GET", path, nil, nil); a.status != http.StatusOK ||
			!strings.Contains(string(a.body), want) {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := s.ask("POST", "/v2/repository/index", nil, []byte(`{"ready": true}`)); string(a.body) !=
		`[{"name":"flat","version":"1","state":"READY"},{"name":"small","version":"1","state":"READY"}]` {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Whatever a client does wrong is told in JSON, with what would be right; the next is answered.
func TestWrongRequests(t *testing.T) {
	s := start(t, serve.Config{Models: []string{modelFile("small"), modelFile("uint8")}})
	m := s.metadata("/v2/models/small")
	in, size := m.Inputs[0], 1
	for _, d := range in.Shape[1:] {
		size *= d
	}
	shape := append([]int{1}, in.Shape[1:]...)
	sound := request(in.Name, "FP32", shape, noise(1, 1, size))
	input := func(fields string) string {
		return `{"inputs":[{"name":"` + in.Name + `","datatype":"FP32","shape":` +
			strings.ReplaceAll(fmt.Sprint(shape), " ", ",") + fields + `}]}`
	}
	numbers := strings.TrimSuffix(strings.Repeat("0,", size), ",")
	for name, test := range map[string]struct {
		path, body, header string
		status             int
		says               string
	}{
		"no JSON": {body: "hello", status: 400, says: "no inference request in JSON"},
		"nothing": {body: "", status: 400, says: "no inference request in JSON"},
		"NaN": {body: input(`,"data":[NaN]`), status: 400,
			says: "NaN and Infinity are no JSON"},
		"cut off": {body: string(sound[:len(sound)/2]), status: 400, says: "unexpected end"},
		"deep": {body: strings.Repeat("[", 100_000), status: 400,
			says: "no inference request"},
		"no input": {body: `{}`, status: 400, says: "0 inputs; the model takes one"},
		"another input": {body: `{"inputs":[{"name":"<b>\u001b[31m"}]}`, status: 400,
			says: "the model has no input"},
		"another type": {body: strings.Replace(string(sound), "FP32", "INT64", 1), status: 400,
			says: `has the datatype FP32, not "INT64"`},
		"no shape": {body: `{"inputs":[{"name":"` + in.Name +
			`","datatype":"FP32","data":[0]}]}`, status: 400, says: "the request's is []"},
		"another shape": {body: strings.Replace(string(sound), `"shape":[1,`, `"shape":[2,2,`, 1),
			status: 400, says: "the request's is [2,2,"},
		"no image": {body: strings.Replace(string(sound), `"shape":[1,`, `"shape":[0,`, 1),
			status: 400, says: "the request's is [0,"},
		"a negative size": {body: strings.Replace(string(sound), `"shape":[1,`, `"shape":[-1,`, 1),
			status: 400, says: "the request's is [-1,"},
		"more than there is": {body: strings.Replace(string(sound), `"shape":[1,`, `"shape":[9,`, 1),
			status: 400, says: "the shape"},
		"an overflow": {body: strings.Replace(string(sound), `"shape":[1,`,
			`"shape":[9223372036854775807,`, 1), status: 400, says: "of more elements than the request has"},
		"beyond a number": {body: strings.Replace(string(sound), `"shape":[1,`,
			`"shape":[92233720368547758080,`, 1), status: 400, says: "no inference request"},
		"no data": {body: input(``), status: 400, says: `"data" is missing`},
		"data of words": {body: input(`,"data":[` + strings.Repeat(`"a",`, size-1) + `"a"]`),
			status: 400, says: `element 0 of "data" is no number`},
		"a word among": {body: input(`,"data":[` + numbers[:len(numbers)-1] + `true]`),
			status: 400, says: fmt.Sprintf(`element %d of "data" is no number`, size-1)},
		"too many": {body: input(`,"data":[` + numbers + `,0]`), status: 400,
			says: "more than the"},
		"too few": {body: input(`,"data":[` + numbers[2:] + `  ]`), status: 400,
			says: `elements, the shape`},
		"nested too deep": {body: input(`,"data":[[[[[` + numbers + `]]]]]`), status: 400,
			says: "nested deeper than its 4 dimensions"},
		"a large number": {body: input(`,"data":[` + numbers[2:] + `,1e39]`), status: 400,
			says: "finite numbers within float32"},
		"two outputs": {body: strings.Replace(string(sound), `"inputs"`,
			`"outputs":[{"name":"a"},{"name":"b"}],"inputs"`, 1), status: 400, says: "asks for 2 outputs"},
		"another output": {body: strings.Replace(string(sound), `"inputs"`,
			`"outputs":[{"name":"a"}],"inputs"`, 1), status: 400, says: `no output "a"`},
		"classification": {body: strings.Replace(string(sound), `"inputs"`,
			`"outputs":[{"name":"`+m.Outputs[0].Name+`","parameters":{"classification":2}}],"inputs"`, 1),
			status: 400, says: "classification is of an extension"},
		"shared memory": {body: input(`,"parameters":{"shared_memory_region":"x"}`), status: 400,
			says: "shared_memory_region is of an extension"},
		"binary, no flag": {body: strings.Replace(string(sound), `"inputs"`,
			`"parameters":{"binary_data_output":3},"inputs"`, 1), status: 400,
			says: "neither true nor false"},
		"a header of words": {body: string(sound), header: "ten", status: 400,
			says: "no number of bytes"},
		"a negative header": {body: string(sound), header: "-5", status: 400,
			says: "no number of bytes"},
		"a header too long": {body: string(sound), header: fmt.Sprint(len(sound) + 1), status: 400,
			says: "and the body has"},
		"a header too short": {body: string(sound), header: fmt.Sprint(len(sound) - 1), status: 400,
			says: "no inference request"},
		"binary unsaid": {body: input("") + "1234", header: fmt.Sprint(len(input(""))), status: 400,
			says: "no input has the parameter binary_data_size"},
		"binary too short": {body: input(`,"parameters":{"binary_data_size":8}`) + "1234",
			header: fmt.Sprint(len(input(`,"parameters":{"binary_data_size":8}`))), status: 400,
			says: "binary_data_size is 8, and 4 bytes follow"},
		"binary of no images": {body: input(`,"parameters":{"binary_data_size":4}`) + "1234",
			header: fmt.Sprint(len(input(`,"parameters":{"binary_data_size":4}`))), status: 400,
			says: "of more elements than the request has"},
		"binary negative": {body: input(`,"parameters":{"binary_data_size":-4}`) + "1234",
			header: fmt.Sprint(len(input(`,"parameters":{"binary_data_size":-4}`))), status: 400,
			says: "no number of bytes"},
		"binary and data": {body: input(`,"data":[0],"parameters":{"binary_data_size":4}`) + "1234",
			header: fmt.Sprint(len(input(`,"data":[0],"parameters":{"binary_data_size":4}`))), status: 400,
			says: "has both"},
		"raw of no images": {body: "12345", header: "0", status: 400,
			says: "no whole number of images"},
		"raw NaN": {body: strings.Repeat("\xff", 4*size), header: "0", status: 400,
			says: "element 0 is NaN"},
		"half a byte": {path: "/v2/models/uint8/infer", body: strings.Replace(uint8Request(s),
			":[0", ":[0.5", 1), status: 400, says: "UINT8 is a whole number"},
		"another model": {path: "/v2/models/none/infer", body: string(sound), status: 404,
			says: `no model "none"; there are small, uint8`},
		"another version": {path: "/v2/models/small/versions/2/infer", body: string(sound),
			status: 404, says: `no version "2"; it has 1`},
		"up and away": {path: "/v2/models/..%2f..%2fetc/infer", body: string(sound), status: 404,
			says: "no model"},
		"elsewhere":      {path: "/v3", body: "x", status: 404, says: "nothing at /v3"},
		"a read by POST": {path: "/v2/health/live", body: "x", status: 405, says: "takes GET"},
	} {
		t.Run(name, func(t *testing.T) {
			header := map[string]string{}
			if test.header != "" {
				header["Inference-Header-Content-Length"] = test.header
			}
			path := test.path
			if path == "" {
				path = "/v2/models/small/infer"
			}
			s.ask("POST", path, header, []byte(test.body)).wantError(t, test.status, test.says)
		})
	}
	s.ask("GET", "/v2/models/small/infer", nil, nil).wantError(t, 405, "takes POST")
	s.ask("POST", "/v2/models/small/infer", map[string]string{"Content-Encoding": "br"},
		sound).wantError(t, 415, "gzip and deflate are")
	s.ask("POST", "/v2/models/small/infer", map[string]string{"Content-Encoding": "gzip"},
		sound).wantError(t, 400, "not packed as")
	if _, got := s.ask("POST", "/v2/models/small/infer", nil, sound).scores(t); len(got) == 0 {
		t.Error("a sound request is not answered after them")
	}
}

// uint8Request is a request of zeros for the model that takes bytes.
func uint8Request(s *served) string {
	m := s.metadata("/v2/models/uint8")
	size := 1
	for _, d := range m.Inputs[0].Shape[1:] {
		size *= d
	}
	return string(request(m.Inputs[0].Name, "UINT8", append([]int{1}, m.Inputs[0].Shape[1:]...),
		make([]float32, size)))
}

// Scores that are no numbers cannot be said in JSON, and can in binary.
func TestScoresThatAreNoNumbers(t *testing.T) {
	s := start(t, serve.Config{Models: []string{modelFile("nan")}})
	m := s.metadata("/v2/models/nan")
	size := 1
	for _, d := range m.Inputs[0].Shape[1:] {
		size *= d
	}
	shape := append([]int{1}, m.Inputs[0].Shape[1:]...)
	// The model answers NaN where the first pixel is so.
	s.ask("POST", "/v2/models/nan/infer", nil, request(m.Inputs[0].Name, "FP32", shape,
		make([]float32, size))).wantError(t, 500, "ask for binary data")
	body, length := binaryRequest(m.Inputs[0].Name, "FP32", shape, make([]float32, size), true)
	_, got := s.ask("POST", "/v2/models/nan/infer",
		map[string]string{"Inference-Header-Content-Length": length}, body).scores(t)
	if !slices.ContainsFunc(got, func(v float32) bool { return v != v }) {
		t.Errorf("%v", got)
	}
}
