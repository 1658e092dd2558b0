package serve

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip" // requests may be packed by it
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"slipway/infer/serve/inferencepb"
)

// streamsPerConnection is how many requests a gRPC connection has at one time at most.
const streamsPerConnection = 128

// ServeGRPC answers by the Open Inference Protocol's gRPC on a listener until ctx ends, and ends as
// Serve does. Both may be called on one Server, each with a listener of its own.
func (s *Server) ServeGRPC(ctx context.Context, listener net.Listener) error {
	limits := s.config.Limits
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(newBoundedCodec()),
		grpc.MaxRecvMsgSize(int(min(limits.Body, math.MaxInt32))),
		grpc.MaxConcurrentStreams(streamsPerConnection),
		grpc.MaxHeaderListSize(64 << 10),
		grpc.ConnectionTimeout(limits.HeaderTime),
		// Half-open connections are found by the pings, forgotten ones by being idle.
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: limits.IdleTime,
			Time: limits.IdleTime, Timeout: limits.HeaderTime}),
		grpc.InTapHandle(s.tapRequest),
		grpc.UnaryInterceptor(s.interceptRequest),
	}
	if s.config.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(s.config.TLS)))
	}
	server := grpc.NewServer(options...)
	inferencepb.RegisterGRPCInferenceServiceServer(server, &grpcService{server: s})
	healthpb.RegisterHealthServer(server, &grpcHealth{server: s})
	ended := make(chan error, 1)
	go func() {
		ended <- server.Serve(&limitedListener{Listener: listener, open: s.connections,
			refused: s.metrics.refused.WithLabelValues("connections").Inc})
	}()
	select {
	case err := <-ended:
		server.Stop()
		return fmt.Errorf("serve gRPC: %w", err)
	case <-ctx.Done():
	}
	s.drain("gRPC")
	late := time.AfterFunc(limits.DrainTime, func() {
		s.config.Logger.Warn("some requests did not end in time and were cut off", "limit",
			limits.DrainTime.String())
		server.Stop()
	})
	server.GracefulStop()
	late.Stop()
	<-ended
	return nil
}

// tapRequest sees a request before its message is read, which has a time to arrive.
func (s *Server) tapRequest(ctx context.Context, _ *tap.Info) (context.Context, error) {
	ctx, cancel := context.WithTimeout(ctx, s.longest())
	context.AfterFunc(ctx, cancel) // with the request's own end
	return ctx, nil
}

// interceptRequest answers a request with its errors told, its panics caught, and all counted.
func (s *Server) interceptRequest(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (response any, err error) {
	began := time.Now()
	n := &noted{}
	endpoint, known := grpcEndpoints()[info.FullMethod]
	if !known {
		endpoint = "grpc_other"
	}
	defer func() {
		if reason := recover(); reason != nil {
			s.repository.loader.panicked(reason, debug.Stack())
			response, err = nil, &problem{status: http.StatusInternalServerError, text: internalText}
		}
		code := codes.OK
		if err != nil {
			err = s.grpcError(info.FullMethod, err)
			code = status.Code(err)
		}
		s.metrics.answered(endpoint, n.model, n.version, int(code), time.Since(began))
		s.config.Logger.Debug("a request", "endpoint", endpoint, "model", n.model, "version", n.version,
			"code", code.String(),
			"seconds", time.Since(began).Seconds())
	}()
	if !forAnyone(endpoint) {
		if err := s.mayCall(ctx); err != nil {
			return nil, err
		}
	}
	return handler(context.WithValue(ctx, notedKey{}, n), request)
}

// grpcEndpoints are what metrics call the methods.
func grpcEndpoints() map[string]string {
	return map[string]string{
		inferencepb.GRPCInferenceService_ServerLive_FullMethodName:     "grpc_live",
		inferencepb.GRPCInferenceService_ServerReady_FullMethodName:    "grpc_ready",
		inferencepb.GRPCInferenceService_ModelReady_FullMethodName:     "grpc_model_ready",
		inferencepb.GRPCInferenceService_ServerMetadata_FullMethodName: "grpc_server",
		inferencepb.GRPCInferenceService_ModelMetadata_FullMethodName:  "grpc_model",
		inferencepb.GRPCInferenceService_ModelInfer_FullMethodName:     "grpc_infer",
		healthpb.Health_Check_FullMethodName:                           "grpc_health",
	}
}

// forAnyone reports whether an endpoint answers without the token.
func forAnyone(endpoint string) bool {
	return endpoint == "grpc_live" || endpoint == "grpc_ready" || endpoint == "grpc_health"
}

// mayCall is mayAsk of gRPC.
func (s *Server) mayCall(ctx context.Context) error {
	given, _ := metadata.FromIncomingContext(ctx)
	if s.config.Token != "" {
		if values := given.Get("authorization"); len(values) != 1 || !s.bears(values[0]) {
			return errUnauthorized
		}
		return nil
	}
	client, ok := peer.FromContext(ctx)
	if !ok || client.LocalAddr == nil {
		return nil
	}
	return checkName(client.LocalAddr, strings.Join(given.Get(":authority"), ","))
}

// grpcError is what a client is told of an error.
func (s *Server) grpcError(method string, err error) error {
	p, own := told(err)
	if own {
		s.config.Logger.Error("a request failed", "method", method, "error", err)
	}
	if p.reason != "" {
		s.metrics.refused.WithLabelValues(p.reason).Inc()
	}
	code := codes.InvalidArgument
	switch p.status {
	case http.StatusNotFound:
		code = codes.NotFound
	case http.StatusMisdirectedRequest:
		code = codes.PermissionDenied
	case http.StatusUnauthorized:
		code = codes.Unauthenticated
	case http.StatusRequestEntityTooLarge:
		code = codes.ResourceExhausted
	case http.StatusServiceUnavailable:
		code = codes.Unavailable
	case http.StatusGatewayTimeout:
		code = codes.DeadlineExceeded
	case statusClientGone:
		code = codes.Canceled
	case http.StatusNotImplemented:
		code = codes.Unimplemented
	case http.StatusInternalServerError:
		code = codes.Internal
	}
	return status.Error(code, p.text)
}

// grpcHealth is gRPC's own protocol of health, for what watches servers by it.
type grpcHealth struct {
	healthpb.UnimplementedHealthServer
	server *Server
}

func (h *grpcHealth) Check(
	context.Context, *healthpb.HealthCheckRequest,
) (*healthpb.HealthCheckResponse, error) {
	state := healthpb.HealthCheckResponse_NOT_SERVING
	if h.server.isReady() {
		state = healthpb.HealthCheckResponse_SERVING
	}
	return &healthpb.HealthCheckResponse{Status: state}, nil
}
