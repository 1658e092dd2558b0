# Slipway. `make help` lists the targets.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c

# EPOCHS caps the passes over the training set; empty means the experiment's own.
EPOCHS ?=
# TRAIN_FLAGS are handed to train as they are: make train-e1 TRAIN_FLAGS='-seed 1'
TRAIN_FLAGS ?=
# BENCH_FLAGS are handed to the benchmarks: make bench-peers BENCH_FLAGS='--network e1'
BENCH_FLAGS ?=
# CONFORMANCE_FLAGS are handed to scripts/conformance/conformance: make conformance CONFORMANCE_FLAGS='--only tract'
CONFORMANCE_FLAGS ?=

COMMANDS := train export infer dataset doctor
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

epochs = $(if $(EPOCHS),-epochs $(EPOCHS))

.PHONY: help setup build install train-e1 train-e2 export infer test test-race lint check golden conformance backend-tests foreign bench-peers bench-batch bench-infer fuzz bench-accuracy doctor clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## bring the pinned onnxruntime library into .cache/ (again: does nothing)
	@scripts/setup-onnxruntime

build: ## build the commands into bin/
	@mkdir -p bin
	go build -o bin/ $(COMMANDS:%=./cmd/%)

install: ## install the commands into Go's bin folder, and the library where they find it
	go install $(COMMANDS:%=./cmd/%)
	@scripts/setup-onnxruntime --user

train-e1: build ## train the first experiment into runs/e1
	bin/train -experiment e1 $(epochs) $(TRAIN_FLAGS)

train-e2: build ## train the second experiment into runs/e2, until its loss is below 0.38
	bin/train -experiment e2 -until-loss 0.38 $(epochs) $(TRAIN_FLAGS)

export: build setup ## export the runs to graphs/ and cross-validate them
	bin/export

infer: build setup ## evaluate graphs/e1.onnx and graphs/e2.onnx in every runtime
	bin/infer -model e1.onnx -data t10k -cross-validate
	bin/infer -model e2.onnx -data t10k -cross-validate

test: setup ## run all tests
	go test ./...

test-race: setup ## run all tests under the race detector
	go test -race ./...

lint: ## gofmt, go vet and staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files "*.go")); if [ -n "$$unformatted" ]; then echo "not gofmt-ed: $$unformatted"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...

check: lint test test-race ## everything that a change must pass

golden: ## make the golden files again with PyTorch
	scripts/golden/make-golden

conformance: build setup ## run every graph in every runtime, into docs/conformance.md (again: only what changed)
	@scripts/conformance/conformance $(CONFORMANCE_FLAGS)

backend-tests: ## run ONNX's own operator tests in the native runtime, against docs/backend-tests.md
	@scripts/setup-onnx-backend-tests
	go test ./infer/native -run TestBackend

foreign: ## make the models of other frameworks, which tests read, again
	scripts/foreign/make-foreign

bench-peers: ## time a training step beside PyTorch and JAX into docs/bench/peers.md
	scripts/bench/bench-peers $(BENCH_FLAGS)

bench-batch: ## time E1's step over the batch size into docs/bench/batch.md
	scripts/bench/bench-batch $(BENCH_FLAGS)

bench-infer: ## time infer as a whole process beside Python's onnxruntime into docs/bench/infer.md
	scripts/bench/bench-infer $(BENCH_FLAGS)

fuzz: ## fuzz the ONNX decoder for 20 minutes and keep the shortest input for each verdict
	scripts/fuzz/fuzz-onnx

bench-accuracy: ## train E1 from five seeds here and in PyTorch into docs/bench/accuracy.md
	scripts/bench/bench-accuracy $(BENCH_FLAGS)

doctor: build ## say what is installed, what will be used, and what is missing
	bin/doctor

clean: ## remove what was built; runs/, graphs/ and .cache/ stay
	rm -rf bin
