package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"

	"slipway/infer/serve"
)

// A handler in a server of one's own, and a picture that is posted to it.
func ExampleServer_Handler() {
	models, err := serve.New(context.Background(), serve.Config{
		Models: []string{filepath.Join("..", "..", "graphs", "e1.onnx")}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer models.Close()
	server := httptest.NewServer(models.Handler())
	defer server.Close()

	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 28, 28))); err != nil {
		fmt.Println(err)
		return
	}
	response, err := http.Post(server.URL+"/v2/models/e1/classify?top=2", "image/png", &picture)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Body.Close()
	var answer struct {
		Top []struct {
			Name        string
			Probability float64
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(response.Status, len(answer.Top), "classes")
	// Output: 200 OK 2 classes
}

// A server of a folder, until its context ends.
func ExampleRun() {
	ctx, stop := context.WithCancel(context.Background())
	err := serve.Run(ctx, serve.Config{Models: []string{filepath.Join("..", "..", "graphs")}},
		serve.Listening{
			HTTP: "127.0.0.1:0",
			Announce: func(url string) {
				fmt.Println("serves at a free port of", url[:len("http://127.0.0.1")])
				stop() // a real program waits for Ctrl-C
			},
		})
	fmt.Println("ended:", err)
	// Output:
	// serves at a free port of http://127.0.0.1
	// ended: <nil>
}

// What a tensor is asked about with: the Open Inference Protocol in JSON.
func ExampleNew() {
	models, err := serve.New(context.Background(), serve.Config{
		Models: []string{filepath.Join("..", "testdata", "flat.onnx")}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer models.Close()
	server := httptest.NewServer(models.Handler())
	defer server.Close()
	for _, path := range []string{"/v2/models/flat", "/v2/models/other"} {
		response, err := http.Get(server.URL + path)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		fmt.Println(response.StatusCode, strings.TrimSpace(string(body)), err)
	}
	// Output:
	// 200 {"name":"flat","versions":["1"],"platform":"onnx_native","inputs":[{"name":"pixels","datatype":"FP32","shape":[-1,784]}],"outputs":[{"name":"logits","datatype":"FP32","shape":[-1,10]}]} <nil>
	// 404 {"error":"there is no model \"other\"; there are flat"} <nil>
}
