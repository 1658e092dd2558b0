// Package serve answers about pictures over HTTP and gRPC, with ONNX image classifiers: programs
// ask by the Open Inference Protocol, which KServe and Triton speak, and anybody posts a picture as
// it is.
//
//	server, err := serve.New(ctx, serve.Config{Models: []string{"e1.onnx", "models/"}})
//	defer server.Close()
//	err = server.Serve(ctx, listener) // until ctx ends, and what was begun is answered
//
// Run does all of that for a program that is nothing but a server, as the command serve; Handler is
// for one that has a server of its own. docs/serve.md has the protocol point by point.
//
// # What is served
//
// A model is a file, or lies in a folder, as NAME.onnx or as NAME/VERSION/model.onnx. Folders are
// looked through every Config.Poll. A new version is loaded and tried beside the old one, and takes
// its place between two requests; one that cannot be served leaves the old one and is told in the
// log, in the metrics and in the repository's index. What is gone is let go once nobody asks it.
//
// A request is answered by the newest version, unless its path names another.
//
// With Config.RequireSignature, what is not signed by a certain key cannot be served.
//
// # Batches
//
// Requests that wait for a model while it computes are its next batch. That changes no answer: an
// image has the same bits alone and beside others, as package native keeps its sums in one order.
// Each model is tried for it when it is loaded, and the requests of one that mixes the images of a
// batch stay apart, as do all in onnxruntime, which may sum otherwise in a batch of another size.
// While batches are few, each has all threads. Those of many that wait are computed at the same
// time, on fewer threads each, which answers more of them in a second, with the same bits.
//
// # Limits
//
// Whatever a client does has a bound: Limits has one for each thing that it could use up. What is
// too large is refused before memory is taken for it, what is too slow is let go, and what is too
// much is refused at once, so that others are answered meanwhile. Errors are {"error": "…"} with
// the status that HTTP has for them. A panic, of a handler or of a runtime on a batch, is an error
// and a line in the log, and the server goes on.
package serve
