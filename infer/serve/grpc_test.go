package serve_test

import (
	"context"
	"encoding/binary"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	grpcmetadata "google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"slipway/infer"
	"slipway/infer/serve"
	"slipway/infer/serve/inferencepb"
)

// startGRPC serves a server's gRPC as well, until the test ends, and returns its address and a
// connection to it.
func (s *served) startGRPC(t *testing.T) (address string, conn *grpc.ClientConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.server.ServeGRPC(ctx, listener) }()
	conn, err = grpc.NewClient(listener.Addr().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("gRPC ended: %v", err)
		}
		conn.Close()
	})
	return listener.Addr().String(), conn
}

func rawFloats(values []float32) []byte {
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return raw
}

// message is a request for 28×28 images, raw or as numbers.
func message(model string, values []float32, raw bool) *inferencepb.ModelInferRequest {
	tensor := &inferencepb.ModelInferRequest_InferInputTensor{Name: "image", Datatype: "FP32",
		Shape: []int64{int64(len(values) / 784), 1, 28, 28}}
	r := &inferencepb.ModelInferRequest{ModelName: model, Id: "42",
		Inputs: []*inferencepb.ModelInferRequest_InferInputTensor{tensor}}
	if raw {
		r.RawInputContents = [][]byte{rawFloats(values)}
	} else {
		tensor.Contents = &inferencepb.InferTensorContents{Fp32Contents: values}
	}
	return r
}

// gRPC answers with the bits that HTTP answers with, alone and many at a time.
func TestGRPCAnswersAsHTTP(t *testing.T) {
	s := start(t, serve.Config{Models: []string{modelFile("small"), modelFile("uint8")}, MaxBatch: 8,
		MaxWait: 5 * time.Millisecond})
	_, conn := s.startGRPC(t)
	client := inferencepb.NewGRPCInferenceServiceClient(conn)
	ctx := t.Context()
	values := noise(4, 6, 784)
	want := expected(t, modelFile("small"), infer.Batch{N: 6, C: 1, H: 28, W: 28, Pixels: values})
	for _, raw := range []bool{true, false} {
		answer, err := client.ModelInfer(ctx, message("small", values, raw))
		if err != nil {
			t.Fatal(err)
		}
		out := answer.GetOutputs()[0]
		if !slices.Equal(answer.GetRawOutputContents()[0], rawFloats(want)) || answer.GetId() != "42" ||
			answer.GetModelVersion() != "1" ||
			!slices.Equal(out.GetShape(), []int64{6, 10}) || out.GetDatatype() != "FP32" {
			t.Errorf("raw %t: %v", raw, answer)
		}
	}
	var group sync.WaitGroup
	for i := range 24 {
		group.Go(func() {
			image := i % 6
			answer, err := client.ModelInfer(ctx, message("small", values[image*784:(image+1)*784], true))
			if err != nil || !slices.Equal(answer.GetRawOutputContents()[0],
				rawFloats(want[image*10:(image+1)*10])) {
				t.Errorf("image %d: %v", image, err)
			}
		})
	}
	group.Wait()

	described, err := client.ModelMetadata(ctx, &inferencepb.ModelMetadataRequest{Name: "uint8"})
	if err != nil {
		t.Fatal(err)
	}
	in := described.GetInputs()[0]
	shape := slices.Clone(in.GetShape())
	shape[0] = 1
	numbers := make([]uint32, 784)
	bytes := make([]byte, 784)
	for i := range numbers {
		numbers[i], bytes[i] = uint32(i%256), byte(i%256)
	}
	ask := func(contents *inferencepb.InferTensorContents, raw [][]byte) []byte {
		answer, err := client.ModelInfer(ctx, &inferencepb.ModelInferRequest{ModelName: "uint8",
			ModelVersion: "1", RawInputContents: raw,
			Inputs: []*inferencepb.ModelInferRequest_InferInputTensor{{Name: in.GetName(),
				Datatype: in.GetDatatype(), Shape: shape, Contents: contents}}})
		if err != nil {
			t.Fatal(err)
		}
		return answer.GetRawOutputContents()[0]
	}
	if one, other := ask(&inferencepb.InferTensorContents{UintContents: numbers}, nil), ask(nil,
		[][]byte{bytes}); !slices.Equal(one, other) {
		t.Errorf("%v, then %v", one, other)
	}
}

// Health, metadata, and who may ask.
func TestGRPCHealthAndToken(t *testing.T) {
	s := start(t, serve.Config{Models: []string{modelFile("small")}, Token: token})
	_, conn := s.startGRPC(t)
	client := inferencepb.NewGRPCInferenceServiceClient(conn)
	ctx := t.Context()
	live, err := client.ServerLive(ctx, &inferencepb.ServerLiveRequest{})
	if err != nil || !live.GetLive() {
		t.Errorf("%v %v", live, err)
	}
	ready, err := client.ServerReady(ctx, &inferencepb.ServerReadyRequest{})
	if err != nil || !ready.GetReady() {
		t.Errorf("%v %v", ready, err)
	}
	health, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil || health.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("%v %v", health, err)
	}
	for _, given := range []string{"", "Bearer " + token[1:], token} {
		ctx := grpcmetadata.AppendToOutgoingContext(ctx, "authorization", given)
		if _, err := client.ServerMetadata(ctx,
			&inferencepb.ServerMetadataRequest{}); status.Code(err) != codes.Unauthenticated {
			t.Errorf("with %q: %v", given, err)
		}
		if _, err := client.ModelInfer(ctx, message("small", noise(1, 1, 784),
			true)); status.Code(err) != codes.Unauthenticated {
			t.Errorf("with %q: %v", given, err)
		}
	}
	ctx = grpcmetadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	server, err := client.ServerMetadata(ctx, &inferencepb.ServerMetadataRequest{})
	if err != nil || server.GetName() != "slipway" {
		t.Errorf("%v %v", server, err)
	}
	model, err := client.ModelReady(ctx, &inferencepb.ModelReadyRequest{Name: "small", Version: "1"})
	if err != nil || !model.GetReady() {
		t.Errorf("%v %v", model, err)
	}
}

// Without a token a name that leads to this machine from elsewhere asks nothing.
func TestGRPCOfAnotherHost(t *testing.T) {
	s := start(t, serve.Config{Models: []string{modelFile("small")}})
	address, _ := s.startGRPC(t)
	for authority, want := range map[string]codes.Code{"localhost": codes.OK, "127.0.0.1:1": codes.OK,
		"evil.example": codes.PermissionDenied} {
		conn, err := grpc.NewClient(address, grpc.WithAuthority(authority),
			grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		client := inferencepb.NewGRPCInferenceServiceClient(conn)
		if _, err := client.ModelInfer(t.Context(), message("small", noise(1, 1, 784),
			true)); status.Code(err) != want {
			t.Errorf("%s: %v", authority, err)
		}
		if _, err := client.ServerLive(t.Context(), &inferencepb.ServerLiveRequest{}); err != nil {
			t.Errorf("%s: %v", authority, err)
		}
	}
}

// What is wrong is told with gRPC's codes, also what is no message and no gRPC at all; the next
// request is answered.
func TestGRPCWrongRequests(t *testing.T) {
	s := start(t, serve.Config{Models: []string{modelFile("small")},
		Limits: serve.Limits{Body: 1 << 20, HeaderTime: 300 * time.Millisecond}})
	address, conn := s.startGRPC(t)
	client := inferencepb.NewGRPCInferenceServiceClient(conn)
	values := noise(1, 1, 784)
	type asked = inferencepb.ModelInferRequest
	change := func(change func(*asked)) *inferencepb.ModelInferRequest {
		r := message("small", values, true)
		change(r)
		return r
	}
	for name, test := range map[string]struct {
		request *inferencepb.ModelInferRequest
		code    codes.Code
		says    string
	}{
		"nothing": {&inferencepb.ModelInferRequest{ModelName: "small"}, codes.InvalidArgument,
			"0 inputs"},
		"another model": {message("none", values, true), codes.NotFound, "no model"},
		"another version": {change(func(r *asked) { r.ModelVersion = "7" }),
			codes.NotFound, "no version"},
		"another input": {change(func(r *asked) { r.Inputs[0].Name = "x" }),
			codes.InvalidArgument, "no input"},
		"another type": {change(func(r *asked) { r.Inputs[0].Datatype = "BYTES" }),
			codes.InvalidArgument, "datatype"},
		"another output": {change(func(r *asked) {
			r.Outputs = []*inferencepb.ModelInferRequest_InferRequestedOutputTensor{{Name: "x"}}
		}), codes.InvalidArgument, "no output"},
		"an overflow": {change(func(r *asked) { r.Inputs[0].Shape[0] = math.MaxInt64 }),
			codes.InvalidArgument, "more elements"},
		"no image": {change(func(r *asked) { r.Inputs[0].Shape[0] = 0 }),
			codes.InvalidArgument, "shape"},
		"cut off": {change(func(r *asked) { r.RawInputContents[0] = r.RawInputContents[0][:3] }),
			codes.InvalidArgument, "input"},
		"no content": {change(func(r *asked) { r.RawInputContents = nil }),
			codes.InvalidArgument, "input"},
		"two contents": {change(func(r *asked) {
			r.Inputs[0].Contents = &inferencepb.InferTensorContents{}
		}), codes.InvalidArgument,
			"more than one"},
		"NaN": {change(func(r *asked) {
			copy(r.RawInputContents[0], "\xff\xff\xff\xff")
		}), codes.InvalidArgument, "element 0 is NaN"},
		"too large": {message("small", noise(1, 400, 784), true), codes.ResourceExhausted,
			"larger than max"},
		"shared memory": {change(func(r *asked) {
			r.Parameters = map[string]*inferencepb.InferParameter{"shared_memory_region": {}}
		}), codes.InvalidArgument, "extension"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client.ModelInfer(t.Context(), test.request)
			if status.Code(err) != test.code || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %v and %s", err, test.code, test.says)
			}
		})
	}
	if err := conn.Invoke(t.Context(), "/inference.GRPCInferenceService/RepositoryIndex",
		&inferencepb.ServerLiveRequest{}, &inferencepb.ServerLiveResponse{},
	); status.Code(err) != codes.Unimplemented {
		t.Errorf("a method that there is not: %v", err)
	}
	// A message of another type, whose fields are no sound text and no sound numbers.
	if err := conn.Invoke(t.Context(), inferencepb.GRPCInferenceService_ModelInfer_FullMethodName,
		&inferencepb.InferTensorContents{BytesContents: [][]byte{{0xff}},
			Fp32Contents: []float32{1}}, &inferencepb.ModelInferResponse{}); err == nil {
		t.Error("nonsense is answered")
	}
	for _, text := range []string{"", "GET / HTTP/1.1\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"} {
		broken, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer broken.Close()
		if _, err := broken.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := broken.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		wantClosed(t, broken)
	}
	if _, err := client.ModelInfer(t.Context(), message("small", values, true)); err != nil {
		t.Errorf("a sound request after them: %v", err)
	}
}

// Run serves both protocols, and ends both.
func TestRunServesBoth(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	urls, ended := make(chan string, 2), make(chan error, 1)
	go func() {
		ended <- serve.Run(ctx, serve.Config{Models: []string{modelFile("small")}},
			serve.Listening{HTTP: "127.0.0.1:0", GRPC: "127.0.0.1:0",
				Announce: func(url string) { urls <- url }})
	}()
	if http, rpc := <-urls, <-urls; !strings.HasPrefix(http, "http://127.0.0.1:") ||
		!strings.HasPrefix(rpc, "grpc://127.0.0.1:") {
		t.Errorf("%s and %s", http, rpc)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
