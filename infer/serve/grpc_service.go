package serve

import (
	"context"

	"slipway/infer"
	"slipway/infer/serve/inferencepb"
	"slipway/internal/cli"
)

// grpcService answers by the protocol's gRPC what routes answer by HTTP.
type grpcService struct {
	inferencepb.UnimplementedGRPCInferenceServiceServer
	server *Server
}

func (g *grpcService) ServerLive(
	context.Context, *inferencepb.ServerLiveRequest,
) (*inferencepb.ServerLiveResponse, error) {
	return &inferencepb.ServerLiveResponse{Live: true}, nil
}

func (g *grpcService) ServerReady(
	context.Context, *inferencepb.ServerReadyRequest,
) (*inferencepb.ServerReadyResponse, error) {
	return &inferencepb.ServerReadyResponse{Ready: g.server.isReady()}, nil
}

func (g *grpcService) ServerMetadata(
	context.Context, *inferencepb.ServerMetadataRequest,
) (*inferencepb.ServerMetadataResponse, error) {
	return &inferencepb.ServerMetadataResponse{Name: serverName, Version: cli.ModuleVersion}, nil
}

// acquire returns the version that a message names, which the caller must release.
func (g *grpcService) acquire(ctx context.Context, name, number string) (*version, error) {
	v, err := g.server.repository.acquire(name, number)
	if err == nil {
		noteModel(ctx, v)
	}
	return v, err
}

func (g *grpcService) ModelReady(
	ctx context.Context, r *inferencepb.ModelReadyRequest,
) (*inferencepb.ModelReadyResponse, error) {
	v, err := g.acquire(ctx, r.GetName(), r.GetVersion())
	if err != nil {
		return nil, err
	}
	defer v.release()
	return &inferencepb.ModelReadyResponse{Ready: !g.server.draining.Load()}, nil
}

func (g *grpcService) ModelMetadata(
	ctx context.Context, r *inferencepb.ModelMetadataRequest,
) (*inferencepb.ModelMetadataResponse, error) {
	v, err := g.acquire(ctx, r.GetName(), r.GetVersion())
	if err != nil {
		return nil, err
	}
	defer v.release()
	tensor := func(t tensorInfo) []*inferencepb.ModelMetadataResponse_TensorMetadata {
		return []*inferencepb.ModelMetadataResponse_TensorMetadata{{Name: t.Name, Datatype: t.Datatype,
			Shape: t.Shape}}
	}
	return &inferencepb.ModelMetadataResponse{Name: v.name,
		Versions: g.server.repository.serving.Load().numbers(v.name), Platform: v.platform,
		Inputs: tensor(v.input), Outputs: tensor(v.output)}, nil
}

func (g *grpcService) ModelInfer(
	ctx context.Context, r *inferencepb.ModelInferRequest,
) (*inferencepb.ModelInferResponse, error) {
	s := g.server
	if !s.inFlight.take(1) {
		return nil, overloaded("requests", "%d requests are being answered already; try again",
			s.inFlight.most)
	}
	defer s.inFlight.give(1)
	v, err := g.acquire(ctx, r.GetModelName(), r.GetModelVersion())
	if err != nil {
		return nil, err
	}
	defer v.release()
	images, err := understandMessage(r, v.input, v.output)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.Limits.AnswerTime)
	defer cancel()
	scores, err := v.batcher.run(ctx, images)
	if err != nil {
		return nil, err
	}
	return &inferencepb.ModelInferResponse{
		ModelName: v.name, ModelVersion: v.number, Id: r.GetId(),
		Outputs: []*inferencepb.ModelInferResponse_InferOutputTensor{{
			Name: v.output.Name, Datatype: v.output.Datatype,
			Shape: []int64{int64(scores.N), int64(scores.K)}}},
		RawOutputContents: [][]byte{toBinary(make([]byte, 0, 4*len(scores.Values)), scores.Values)},
	}, nil
}

// understandMessage reads a request for a model with that input and output.
func understandMessage(
	r *inferencepb.ModelInferRequest, input, output tensorInfo,
) (infer.Batch, error) {
	none := infer.Batch{}
	if len(r.GetInputs()) != 1 {
		return none, badRequest("the request has %d inputs; the model takes one, %q", len(r.GetInputs()),
			input.Name)
	}
	given, raw := r.GetInputs()[0], r.GetRawInputContents()
	if given.GetName() != input.Name {
		return none, badRequest("the model has no input %q; its input is %q", shorten(given.GetName()),
			input.Name)
	}
	if len(r.GetOutputs()) > 1 {
		return none, badRequest("the request asks for %d outputs; the model has one, %q",
			len(r.GetOutputs()), output.Name)
	}
	checked := []map[string]*inferencepb.InferParameter{r.GetParameters(), given.GetParameters()}
	for _, wanted := range r.GetOutputs() {
		if wanted.GetName() != output.Name {
			return none, badRequest("the model has no output %q; its output is %q",
				shorten(wanted.GetName()), output.Name)
		}
		checked = append(checked, wanted.GetParameters())
	}
	for _, parameters := range checked {
		for name := range parameters {
			if isNotOffered(name) {
				return none, notOffered(name)
			}
		}
	}
	if len(raw) > 1 || len(raw) == 1 && given.GetContents() != nil {
		return none, badRequest("input %q has more than one content", input.Name)
	}
	count := elementsOf(given.GetContents(), input)
	if len(raw) == 1 {
		count = len(raw[0]) / input.elementSize()
	}
	elements, err := input.accepts(given.GetDatatype(), given.GetShape(), int64(count)+1)
	if err != nil {
		return none, err
	}
	var values []float32
	if len(raw) == 1 {
		values, err = input.fromBinary(raw[0], elements)
	} else {
		values, err = input.fromContents(given.GetContents(), elements)
	}
	if err != nil {
		return none, err
	}
	return input.batch(given.GetShape(), values), nil
}

// elementsOf is how many elements of the input's type a message has.
func elementsOf(c *inferencepb.InferTensorContents, input tensorInfo) int {
	switch input.Datatype {
	case typeFP32:
		return len(c.GetFp32Contents())
	case typeFP64:
		return len(c.GetFp64Contents())
	case typeUINT8:
		return len(c.GetUintContents())
	}
	return 0 // FP16 has no contents of its own
}

// fromContents reads elements that a message has as numbers.
func (t tensorInfo) fromContents(
	c *inferencepb.InferTensorContents, elements int,
) ([]float32, error) {
	if count := elementsOf(c, t); count != elements {
		return nil, badRequest("input %q: the message has %d elements of %s, the shape %d", t.Name, count,
			t.Datatype, elements)
	}
	values := make([]float32, elements)
	for i := range values {
		switch t.Datatype {
		case typeFP32:
			values[i] = c.GetFp32Contents()[i]
		case typeFP64:
			values[i] = float32(c.GetFp64Contents()[i])
		default:
			number := c.GetUintContents()[i]
			if number > 255 {
				return nil, badRequest("input %q: element %d is %d; UINT8 is 0 to 255", t.Name, i, number)
			}
			values[i] = float32(number)
		}
		if !finite(values[i]) {
			return nil, t.notFinite(i, "no finite number")
		}
	}
	return values, nil
}
