package serve

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// allocated is how many bytes a function allocates.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A request takes no more memory than its own text has, whatever is wrong in it.
func TestWrongJSONTakesNoMemory(t *testing.T) {
	const length = 4 << 20
	input := tensorInfo{Name: "image", Datatype: typeFP32, Shape: []int64{-1, 1}}
	output := tensorInfo{Name: "scores", Datatype: typeFP32, Shape: []int64{-1, 2}}
	many := func(before, each, last, after string) []byte {
		return []byte(before + strings.Repeat(each, length/len(each)) + last + after)
	}
	for says, body := range map[string][]byte{
		"an element of inputs is no object": many(`{"inputs":[`, "0,", "0", `]}`),
		"inputs; the model takes one":       many(`{"inputs":[`, "{},", "{}", `]}`),
		"an element of outputs is no":       many(`{"outputs":[`, "[],", "0", `]}`),
		"0 inputs":                          many(`{"parameters":{`, `"a":0,`, `"b":0`, `}}`),
		"more than 64 dimensions":           many(`{"inputs":[{"shape":[`, "1,", "1", `]}]}`),
		"invalid character":                 many(`{"inputs":[`, "{},", "{", `]}`),
		"it is no object":                   many(`[`, "0,", "0", `]`),
		"no input \"xxxxx":                  many(`{"inputs":[{"name":"`, "x", "", `"}]}`),
	} {
		var err error
		if bytes := allocated(func() { _, err = understand(body, -1, input, output) }); bytes > 2*length {
			t.Errorf("%s: %d bytes for %d", says, bytes, len(body))
		}
		if err == nil || !strings.Contains(err.Error(), says) || len(err.Error()) > 200 {
			t.Errorf("%.300v, want %s", err, says)
		}
	}
}

// A sound request is read whatever white space and escapes it has.
func TestJSONIsReadInPlace(t *testing.T) {
	input := tensorInfo{Name: "a\"]", Datatype: typeFP32, Shape: []int64{-1, 2}}
	output := tensorInfo{Name: "scores", Datatype: typeFP32, Shape: []int64{-1, 2}}
	body := "\n{ \"\\u0069d\" : \"7\\n\" , \"x\":{\"inputs\":[{}]},\"inputs\":\t[ {\"name\":\"a\\\"]\"," +
		"\"datatype\" : \"FP32\",\"y\":[{},[],\"}\\\\\"],\"shape\":[ 1 , 2 ] ,\"data\":[ 1 ,\r2.5e0 ] } ] ," +
		"\"outputs\":null,\"parameters\":{\"binary_data_output\":true,\"z\":{}} } "
	q, err := understand([]byte(body), -1, input, output)
	if err != nil || q.id != "7\n" || !q.binary || !slices.Equal(q.images.Pixels, []float32{1, 2.5}) {
		t.Errorf("%+v, %v", q, err)
	}
	for _, wrong := range []string{`{"id":7}`, `{"inputs":{}}`, `{"outputs":7}`, `{"parameters":[]}`,
		`""`,
		`{"inputs":[{"name":[]}]}`, `{"inputs":[{"shape":{}}]}`, `{"inputs":[{"shape":[1.5]}]}`,
		fmt.Sprintf(`{"inputs":[{"shape":[1%s]}]}`, strings.Repeat("0", 1000))} {
		if _, err := understand([]byte(wrong), -1, input, output); err == nil ||
			!strings.Contains(err.Error(), "no inference request in JSON") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
