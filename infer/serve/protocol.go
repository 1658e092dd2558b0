package serve

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"slipway/infer"
)

// headerLength is the header of the binary tensor data extension: how many bytes of the body are
// JSON.
const headerLength = "Inference-Header-Content-Length"

// inferResponse is the JSON of an answer.
type inferResponse struct {
	ModelName    string           `json:"model_name"`
	ModelVersion string           `json:"model_version"`
	ID           string           `json:"id,omitempty"`
	Outputs      []responseOutput `json:"outputs"`
}

type responseOutput struct {
	Name       string           `json:"name"`
	Datatype   string           `json:"datatype"`
	Shape      []int64          `json:"shape"`
	Parameters map[string]int64 `json:"parameters,omitempty"`
	Data       []float32        `json:"data,omitempty"`
}

// A question is a request, understood.
type question struct {
	id     string
	images infer.Batch
	// binary says that the scores are wanted as binary data.
	binary bool
}

// understand reads a request for a model with that input and output: a body whose first bytes,
// header of them, are JSON, and the others binary data. header is -1 where all is JSON.
func understand(body []byte, header int, input, output tensorInfo) (question, error) {
	if header == 0 {
		return understandRaw(body, input)
	}
	if header < 0 {
		header = len(body)
	}
	if header > len(body) {
		return question{}, badRequest("%s is %d, and the body has %d bytes", headerLength, header,
			len(body))
	}
	request, err := readRequest(body[:header])
	if err != nil {
		return question{}, err
	}
	if err := request.Parameters.check(); err != nil {
		return question{}, err
	}
	if request.Inputs != 1 {
		return question{}, badRequest("the request has %d inputs; the model takes one, %q",
			request.Inputs, input.Name)
	}
	given := request.Input
	if given.Name != input.Name {
		return question{}, badRequest("the model has no input %q; its input is %q",
			shorten(given.Name), input.Name)
	}
	if err := given.Parameters.check(); err != nil {
		return question{}, err
	}
	q := question{id: request.ID}
	if q.images, err = understandInput(given, body[header:], input); err != nil {
		return question{}, err
	}
	q.binary, err = understandOutputs(request, output)
	return q, err
}

func understandInput(given requestInput, binary []byte, input tensorInfo) (infer.Batch, error) {
	size := given.Parameters.get("binary_data_size")
	isBinary := size != nil
	var err error
	if isBinary {
		err = checkBinary(given, size, binary, input)
	} else {
		err = checkData(given, binary, input)
	}
	if err != nil {
		return infer.Batch{}, err
	}
	// What the text, of two bytes an element, or the binary data can hold.
	most := int64(len(given.Data)/2) + 1
	if isBinary {
		most = int64(len(binary)/input.elementSize()) + 1
	}
	elements, err := input.accepts(given.Datatype, given.Shape, most)
	if err != nil {
		return infer.Batch{}, err
	}
	var values []float32
	if isBinary {
		values, err = input.fromBinary(binary, elements)
	} else {
		values, err = input.fromJSON(given.Data, given.Shape, elements)
	}
	if err != nil {
		return infer.Batch{}, err
	}
	return input.batch(given.Shape, values), nil
}

// checkBinary checks that an input of that many bytes and nothing else follows the JSON.
func checkBinary(given requestInput, size, binary []byte, input tensorInfo) error {
	bytes, err := strconv.ParseInt(string(size), 10, 64)
	switch {
	case err != nil || bytes < 0:
		return badRequest("input %q: the parameter binary_data_size is no number of bytes", input.Name)
	case bytes != int64(len(binary)):
		return badRequest("input %q: binary_data_size is %d, and %d bytes follow the JSON", input.Name,
			bytes, len(binary))
	case len(given.Data) > 0 && string(given.Data) != "null":
		return badRequest(`input %q has both "data" and binary data`, input.Name)
	}
	return nil
}

// checkData checks that an input is an array in the JSON.
func checkData(given requestInput, binary []byte, input tensorInfo) error {
	switch {
	case len(binary) > 0:
		return badRequest(
			"%d bytes of binary data follow the JSON, and no input has the parameter binary_data_size",
			len(binary))
	case len(given.Data) == 0 || given.Data[0] != '[':
		return badRequest(`input %q: "data" is missing: an array of numbers is wanted, `+
			"or the parameter binary_data_size",
			input.Name)
	}
	return nil
}

// understandOutputs says whether the scores, which a request without outputs gets, too, are wanted
// as binary data.
func understandOutputs(request inferRequest, output tensorInfo) (binary bool, err error) {
	all, err := request.Parameters.boolean("binary_data_output", false)
	if err != nil || request.Outputs == 0 {
		return all, err
	}
	if request.Outputs > 1 {
		return false, badRequest("the request asks for %d outputs; the model has one, %q",
			request.Outputs, output.Name)
	}
	wanted := request.Output
	if wanted.Name != output.Name {
		return false, badRequest("the model has no output %q; its output is %q",
			shorten(wanted.Name), output.Name)
	}
	if err := wanted.Parameters.check(); err != nil {
		return false, err
	}
	return wanted.Parameters.boolean("binary_data", all)
}

// understandRaw reads a body that is one tensor's elements and nothing else, whose number of
// images follows from its length.
func understandRaw(body []byte, input tensorInfo) (question, error) {
	if !input.known() {
		return question{}, badRequest(
			"input %q leaves the size of an image open, %s: binary data needs a JSON header that says it",
			input.Name, formatShape(input.Shape))
	}
	shape := append([]int64{}, input.Shape...)
	size := int64(input.elementSize())
	for _, d := range shape[1:] {
		size *= d
	}
	if len(body) == 0 || int64(len(body))%size != 0 {
		return question{}, badRequest("%d bytes of binary data are no whole number of images of %d bytes",
			len(body), size)
	}
	shape[0] = int64(len(body)) / size
	values, err := input.fromBinary(body, len(body)/input.elementSize())
	return question{images: input.batch(shape, values), binary: true}, err
}

// write writes the answer to a question.
func (q question) write(w http.ResponseWriter, model, version string, output tensorInfo,
	scores infer.Logits) error {
	out := responseOutput{Name: output.Name, Datatype: output.Datatype,
		Shape: []int64{int64(scores.N), int64(scores.K)}}
	var binary []byte
	if q.binary {
		out.Parameters = map[string]int64{"binary_data_size": 4 * int64(len(scores.Values))}
		binary = toBinary(make([]byte, 0, 4*len(scores.Values)), scores.Values)
	} else {
		for i, v := range scores.Values {
			if !finite(v) {
				return &problem{status: http.StatusInternalServerError, text: fmt.Sprintf(
					"score %d of image %d is %v, which JSON cannot say; ask for binary data to see it",
					i%scores.K, i/scores.K, v)}
			}
		}
		out.Data = scores.Values
	}
	header, err := json.Marshal(inferResponse{ModelName: model, ModelVersion: version, ID: q.id,
		Outputs: []responseOutput{out}})
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	if !q.binary {
		writeBody(w, http.StatusOK, "application/json", header)
		return nil
	}
	w.Header().Set(headerLength, strconv.Itoa(len(header)))
	writeBody(w, http.StatusOK, "application/octet-stream", append(header, binary...))
	return nil
}

func writeBody(w http.ResponseWriter, status int, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	// A client that has left is seen by the server, and nobody is there to be told.
	_, _ = w.Write(body)
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		status = http.StatusInternalServerError
		body = []byte(`{"error":"the answer cannot be written as JSON"}`)
	}
	writeBody(w, status, "application/json", body)
}
