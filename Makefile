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
# PHOTOGRAPHS is a folder of JPEGs, such as hymenoptera_data: make bench-feed PHOTOGRAPHS=~/hymenoptera_data
PHOTOGRAPHS ?=
# PICTURES is a folder with train/ and test/ of class folders: make bench-pictures PICTURES=~/cifar10
# (bench-classify takes test/ alone)
PICTURES ?=
# QUICK=1 runs the studies in their short form, in a folder of its own.
QUICK ?=
# CONFORMANCE_FLAGS are handed to scripts/conformance/conformance: make conformance CONFORMANCE_FLAGS='--only tract'
CONFORMANCE_FLAGS ?=

# DIST_FLAGS are handed to scripts/dist/dist: make dist DIST_FLAGS=--once
DIST_FLAGS ?=

# MPI_TESTS=few tries two ranks of Open MPI alone.
MPI_TESTS ?= all

# PACKAGE is what is mutated, all if empty: make mutation PACKAGE='builder infer/compare.go' MUTATION_FLAGS=-again
PACKAGE ?=
# MUTATION_FLAGS are handed to scripts/mutation.
MUTATION_FLAGS ?=

comma := ,
# The names that scripts/link-commands gives the program.
COMMANDS := train export infer inspect dataset doctor experiment serve sign verify sbom
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

epochs = $(if $(EPOCHS),-epochs $(EPOCHS))

# Every target that help lists is a command, and no file.
.PHONY: $(shell sed -n 's/^\([a-z0-9-]*\):.*\#\# .*/\1/p' $(MAKEFILE_LIST))

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## bring the pinned onnxruntime library into .cache/ (again: does nothing)
	@scripts/setup-onnxruntime

build: ## build the program into bin/: slipway, and by its links train, infer and the others
	@mkdir -p bin
	go build -o bin/slipway ./cmd/slipway
	@scripts/link-commands bin

install: ## install the program and its links into Go's bin folder, and the library where they find it
	go install ./cmd/slipway
	@scripts/link-commands "$$(dirname "$$(go list -f '{{.Target}}' ./cmd/slipway)")"
	@scripts/setup-onnxruntime --user
	@echo 'Completion: add to ~/.bashrc   for c in slipway $(filter-out export,$(COMMANDS)); do source <($$c completion bash); done'
	@echo '            or to ~/.zshrc    the same with zsh, after compinit; to config.fish   COMMAND completion fish | source'
	@echo "            (export is a word of the shells' own: write slipway export)"

cards: setup ## write cards, inspect.txt and pictures beside the graphs again, from the files
	go test ./export -run Cards -update

train-e1: build ## train the first experiment into runs/e1
	bin/train -experiment e1 $(epochs) $(TRAIN_FLAGS)

train-e2: build ## train the second experiment into runs/e2, until its loss is below 0.38
	bin/train -experiment e2 -until-loss 0.38 $(epochs) $(TRAIN_FLAGS)

experiments: build ## run all studies of experiments/ (QUICK=1: their short form), going on where they stopped, and report; print the time
	@began=$$SECONDS; \
	bin/experiment run $(if $(QUICK),-quick) experiments/*.yaml && \
	bin/experiment report $(if $(QUICK),-quick) experiments/*.yaml && \
	$(if $(QUICK),,bin/dataset fetch optdigits && bin/dataset fetch fashion && \
	bin/experiment report -unseen optdigits$(comma)fashion experiments/e1-e2.yaml && bin/experiment insights &&) \
	echo "all studies took $$((SECONDS - began)) s"

export: build setup ## export the runs to graphs/ and cross-validate them
	bin/export

infer: build setup ## evaluate graphs/e1.onnx and graphs/e2.onnx in every runtime
	bin/infer -model e1.onnx -data t10k -cross-validate
	bin/infer -model e2.onnx -data t10k -cross-validate

test: setup ## run all tests
	go test -timeout 20m ./...

# -short leaves out what the detector sees nothing new in: commands that are built without it, and
# tests that repeat a computation on many more images.
test-race: setup ## run the tests under the race detector, in their short form
	go test -race -short -timeout 40m ./...

lint: ## gofmt, go vet and staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files "*.go")); if [ -n "$$unformatted" ]; then echo "not gofmt-ed: $$unformatted"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...

check: lint test test-race ## everything that a change must pass

golden: ## make the golden files again with PyTorch and SciPy
	scripts/golden/make-golden

conformance: build setup ## run every graph in every runtime, into docs/conformance.md (again: only what changed)
	@scripts/conformance/conformance $(CONFORMANCE_FLAGS)

variants: build setup ## make the graphs' variants and measure them in onnxruntime into docs/variants.md
	@scripts/variants/make-variants

backend-tests: ## run ONNX's own operator tests in the native runtime, against docs/backend-tests.md
	@scripts/setup-onnx-backend-tests
	go test ./infer/native -run TestBackend

foreign: ## make the models of other frameworks, which tests read, again
	scripts/foreign/make-foreign

foreign-networks: ## export torchvision's, timm's and Keras's networks and read them, into docs/foreign-networks.md
	scripts/roundtrip/make-roundtrip

bench-peers: ## time a training step beside PyTorch and JAX into docs/bench/peers.md
	scripts/bench/bench-peers $(BENCH_FLAGS)

bench-networks: ## time a training step of ResNets, MobileNetV2 and EfficientNet-Lite0 beside PyTorch and JAX into docs/bench/networks.md
	scripts/bench/bench-peers --set networks $(BENCH_FLAGS)

bench-batch: ## time E1's step over the batch size into docs/bench/batch.md
	scripts/bench/bench-batch $(BENCH_FLAGS)

bench-infer: ## time infer as a whole process beside Python's onnxruntime into docs/bench/infer.md
	scripts/bench/bench-infer $(BENCH_FLAGS)

bench-serve: ## time serve under load beside the runtime alone and FastAPI with onnxruntime into docs/bench/serve.md
	scripts/bench/bench-serve $(BENCH_FLAGS)

bench-evaluate: ## time the native runtime beside onnxruntime, OpenVINO and tract into docs/bench/evaluate.md
	scripts/bench/bench-evaluate $(BENCH_FLAGS)

bench-start: ## time one picture by a model of 553 MB, and the memory it takes, beside Python's onnxruntime into docs/bench/start.md
	scripts/bench/bench-start $(BENCH_FLAGS)

# The page of pictures in colour is made where there are pictures, and is left as it is where there are none.
bench-classify: setup ## time package classify on single images beside onnxruntime through onnxruntime_go into docs/bench/classify.md; on PICTURES/test beside hugot, too, into classify-colour.md
	go build -o bin/bench-classify ./scripts/bench/classify
	$(if $(PICTURES),scripts/bench/hugot/build)
	bin/bench-classify -o docs/bench/classify.md $(BENCH_FLAGS)
	$(if $(PICTURES),bin/bench-classify -model graphs/resnet20.onnx -data $(PICTURES)/test -hugot .cache/bench/hugot -o docs/bench/classify-colour.md $(BENCH_FLAGS))

bench-feed: ## time reading PHOTOGRAPHS for training beside PyTorch's DataLoader into docs/bench/feed.md (3 GB to download)
	scripts/bench/bench-feed $(if $(PHOTOGRAPHS),--data $(PHOTOGRAPHS)) $(BENCH_FLAGS)

bench-pictures: ## train on the folders in PICTURES from three seeds here and in PyTorch into docs/bench/pictures.md
	scripts/bench/bench-pictures $(if $(PICTURES),--data $(PICTURES)) $(BENCH_FLAGS)

bench-memory: ## print what training ResNet-18 at 224 holds at most, beside PyTorch
	scripts/bench/bench-memory $(BENCH_FLAGS)

bench-finetune: ## train an ONNX model, MODEL, on for the folders in PICTURES from five seeds here and in PyTorch into docs/bench/finetune.md
	scripts/bench/bench-finetune $(if $(PICTURES),--data $(PICTURES)) $(if $(MODEL),--model $(MODEL)) $(BENCH_FLAGS)

bench-few-labels: ## train on a tenth of the folders in PICTURES from three seeds, from nothing and from a pretrained network, into docs/bench/few-labels.md
	scripts/bench/bench-few-labels $(if $(PICTURES),--data $(PICTURES)) $(BENCH_FLAGS)

bench-optimizers: ## train ResNet-20 on a tenth of the folders in PICTURES with each optimizer into docs/bench/optimizers.md
	scripts/bench/bench-optimizers $(if $(PICTURES),--data $(PICTURES)) $(BENCH_FLAGS)

bench-resnet20: ## train ResNet-20 on the folders in PICTURES from three seeds here and in PyTorch into docs/bench/resnet20.md (hours)
	scripts/bench/bench-resnet20 $(if $(PICTURES),--data $(PICTURES)) $(BENCH_FLAGS)

photographs: build setup ## train, export and ask the folder PHOTOGRAPHS at two sizes into docs/photographs.md
	scripts/photographs/make-photographs $(if $(PHOTOGRAPHS),--data $(PHOTOGRAPHS))

mlflow-test: ## tell MLflow's own server and file store of a run, and read it back with MLflow's client (0.9 GB on disk)
	@scripts/setup-python-environment .cache/mlflow/venv scripts/mlflow/requirements.txt
	go test -count=1 -v ./internal/mlflow -run MLflow

serve-clients: ## have the protocol's real clients, tritonclient and KServe's SDK, ask the command serve (0.6 GB on disk)
	@scripts/serve/check-clients

signing-clients: ## have model-signing verify what sign signs and the other way round, and CycloneDX's validator read sbom's
	@scripts/signing/check-clients

mpi-test: ## train and measure on several processes under the launchers of pip's Open MPI and MPICH, with all faults (a minute, 110 MB on disk)
	@scripts/setup-mpi
	SLIPWAY_MPI_TESTS=$(MPI_TESTS) go test -count=1 -v ./internal/mpi ./internal/command/train ./internal/command/doctor -run 'MPI|Ranks|Sums|Silent|WrongLibrary|Launched|Libraries'

bench-ranks: ## time two ranks on this machine beside two processes that know nothing of each other (minutes, on a quiet machine)
	scripts/mpi/bench-ranks $(BENCH_FLAGS)

kill-ranks: ## kill a rank at random moments, fifty times under each launcher, and resume: one digest (ten minutes, on busy cores forty)
	@scripts/mpi/kill-ranks

slurm-check: ## run deploy/slurm/train.sbatch under a real Slurm of two nodes on this machine (root, Debian; twenty minutes)
	@scripts/mpi/slurm-check

validate-manifests: ## hold deploy/kubernetes against the schemas of Kubernetes and the MPI operator (builds kubectl-validate once, minutes)
	@scripts/kubernetes/validate

study-pods: ## run the pods of deploy/kubernetes/study-job.yaml in runc's containers, and compare with one process (root; two minutes)
	@scripts/kubernetes/run-study

fuzz: ## fuzz the ONNX decoder for 20 minutes and keep the shortest input for each verdict
	scripts/fuzz/fuzz-onnx

tour: build setup ## record a run in a terminal as an animated picture into docs/tour.svg
	scripts/tour/record

site: build ## make a site of the documents in .cache/site with Hugo, and follow every link of it
	scripts/site/site

mutation: setup ## mutate builder, dataset, train, onnx and infer (ten hours; again: only what changed; MUTATION_FLAGS='-sample 6': two) into docs/mutation.md
	go run ./scripts/mutation $(MUTATION_FLAGS) $(PACKAGE)

bench-accuracy: ## train E1 from five seeds here and in PyTorch into docs/bench/accuracy.md
	scripts/bench/bench-accuracy $(BENCH_FLAGS)

recipe: ## train the recipe of experiments/recipe.yaml from thirty seeds here and in PyTorch, in turns, into docs/recipe.md
	scripts/experiments/make-recipe $(BENCH_FLAGS)

robustness: build setup ## evaluate graphs/ on damaged and on unseen images into docs/robustness.md
	scripts/robustness/make-robustness

doctor: build ## say what is installed, what will be used, and what is missing
	bin/doctor

demo: ## build the page that reads drawn digits and your own pictures, and serve it on loopback (needs npm)
	@scripts/demo/build
	@go build -o bin/ ./scripts/demo/page-server
	@bin/page-server

demo-test: build setup ## test that page in Node and headless Chromium
	@scripts/demo/test

dist: ## the release check: build what ships for linux twice, try it on a bare machine, test it on arm64, into docs/dist.md
	@scripts/dist/dist --arm64-tests --report docs/dist.md $(DIST_FLAGS)

# gpu_environment has go find the headers and the shim: CGO_CFLAGS and CGO_LDFLAGS.
gpu_environment = eval "$$(scripts/build-cuda-shim)" && export CGO_CFLAGS CGO_LDFLAGS

support: ## ask runtimes which opsets, IR versions and operators they take, into infer/support.json (1.5 GB to download)
	scripts/support/probe-runtimes

gpu: ## build the program into bin/ with training on CUDA in it (Linux x86-64; no CUDA is needed, here or to start them)
	@scripts/setup-cuda
	@mkdir -p bin
	$(gpu_environment) && go build -tags gpu -o bin/slipway ./cmd/slipway
	@scripts/link-commands bin

gpu-test: ## run the CUDA tests on stand-ins for the driver, cuDNN, cuBLAS and NCCL
	@scripts/setup-cuda
	$(gpu_environment) && export SLIPWAY_CUDA_SIMULATOR="$$(scripts/build-cuda-simulator)" && \
		go test -count=1 -tags gpu ./internal/cuda/... ./internal/nccl && go test -count=1 -tags gpu ./internal/command/train -run CUDA

gpu-plants: ## put one bug at a time into the CUDA code, and see that the tests notice each, into docs/gpu-plants.md (an hour; again: what changed)
	@scripts/setup-cuda
	@$(gpu_environment) && go run ./scripts/gpu/plants -record docs/gpu-plants.md $(PLANTS_FLAGS)

gpu-test-libraries: ## link with NVIDIA's own cuDNN, cuBLAS and NCCL (1.3 GB to download) and look every entry point up
	@scripts/setup-cuda --libraries --nccl
	$(gpu_environment) && LD_LIBRARY_PATH="$$PWD/.cache/cuda/13.0/lib:$$LD_LIBRARY_PATH" SLIPWAY_TEST_REAL_CUDA=1 \
		go test -count=1 -tags gpu ./internal/cuda -run 'Real|Handles|PTX' -v
	$(gpu_environment) && LD_LIBRARY_PATH="$$PWD/.cache/cuda/13.0/lib:$$(scripts/build-cuda-nodriver):$$LD_LIBRARY_PATH" SLIPWAY_TEST_REAL_CUDA=1 \
		go test -count=1 -tags gpu ./internal/cuda -run RealGraph -v
	$(gpu_environment) && LD_LIBRARY_PATH="$$PWD/.cache/cuda/13.0/lib:$$LD_LIBRARY_PATH" SLIPWAY_TEST_REAL_CUDA=1 \
		go test -count=1 -tags gpu ./internal/nccl -run Real -v

gpu-lint: ## go vet and staticcheck of the CUDA build
	@scripts/setup-cuda
	$(gpu_environment) && go vet -tags gpu ./internal/cuda/... ./internal/nccl ./internal/command/... ./cmd/... && go run $(STATICCHECK) -tags gpu ./internal/cuda/... ./internal/nccl ./internal/command/train ./internal/command/doctor

gpu-kernels: ## compile and assemble the CUDA kernels: registers, shared memory, spills
	@scripts/setup-cuda --nvcc
	scripts/cuda-kernels

gpu-predict: ## predict what each launch of a step takes on an H200, from the simulator and the kernels' instructions, into docs/cuda-predicted.md (110 MB to download)
	@scripts/setup-cuda --nvcc --nvdisasm
	scripts/gpu/make-prediction

gpu-bundle: ## pack what a machine with a GPU needs to run gpu-check, without Go and network, into bin/slipway-gpu.tar.xz
	@scripts/setup-cuda
	scripts/gpu/make-bundle

gpu-check: gpu-bundle ## on a machine with a GPU: check and time training on it, into gpu-report.md
	@rm -rf bin/gpu-check && mkdir -p bin/gpu-check && tar -xJf bin/slipway-gpu.tar.xz -C bin/gpu-check --strip-components 1
	bin/gpu-check/gpu-check -o gpu-report.md

clean: ## remove what was built; runs/, graphs/ and .cache/ stay
	rm -rf bin
