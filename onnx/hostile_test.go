package onnx_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"slipway/internal/cputime"
	"slipway/onnx"
	"slipway/onnx/onnxpb"
)

// Bounds of refusing one of the hostile files, which are a few kilobytes long.
// The time is a hundred times what it takes, for a machine that is busy; the
// memory is what decoding and checking the sound model takes, several times over.
const (
	hostileTime   = 2 * time.Second
	hostileMemory = 2 << 20
)

// hostileFolder is a folder with a model in it and, beside and above it, what a
// model should not reach.
type hostileFolder struct{ path, model, secret string }

func newHostileFolder(t *testing.T) hostileFolder {
	t.Helper()
	// Not t.TempDir, whose path is so long that the errors would cut it.
	outside, err := os.MkdirTemp("", "m")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(outside) })
	f := hostileFolder{path: filepath.Join(outside, "model"), secret: filepath.Join(outside, "secret")}
	f.model = filepath.Join(f.path, "model.onnx")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(f.path, "sub"), 0o755),
		os.WriteFile(f.secret, make([]byte, 72), 0o644),
		os.WriteFile(filepath.Join(f.path, "weights"), make([]byte, 72), 0o644),
		os.Symlink(f.secret, filepath.Join(f.path, "link")),
		os.Symlink("../secret", filepath.Join(f.path, "relative")),
		os.Symlink("..", filepath.Join(f.path, "up")),
		os.Symlink("loop", filepath.Join(f.path, "loop")),
		os.Symlink("nowhere", filepath.Join(f.path, "dangling")),
		syscall.Mkfifo(filepath.Join(f.path, "fifo"), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// TestHostileFiles gives Read and Check files that are made to harm: each is
// refused with these words, in bounded time and memory. MODEL stands for the
// file's path and SECRET for one outside of its folder.
func TestHostileFiles(t *testing.T) {
	good := encode(t, tinyModel(t))
	// claim is the head of a field that says it has so many bytes, and has none.
	claim := func(field protowire.Number, length uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.BytesType), length)
	}
	add := func(more ...byte) []byte { return append(bytes.Clone(good), more...) }
	// changed is the sound model with a change.
	changed := func(change func(m *onnxpb.ModelProto, g *onnxpb.GraphProto)) func(
		hostileFolder) []byte {
		return func(hostileFolder) []byte {
			model := tinyModel(t)
			change(model.Proto, model.Proto.Graph)
			return encode(t, model)
		}
	}
	raw := func(data []byte) func(hostileFolder) []byte {
		return func(hostileFolder) []byte { return data }
	}
	weight := func(change func(tensor *onnxpb.TensorProto)) func(hostileFolder) []byte {
		return changed(func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) { change(g.Initializer[0]) })
	}
	// external is the sound model with its first weights, 72 bytes, in a file.
	external := func(entries func(f hostileFolder) []string) func(hostileFolder) []byte {
		return func(f hostileFolder) []byte {
			model := tinyModel(t)
			tensor := model.Proto.Graph.Initializer[0]
			tensor.RawData, tensor.DataLocation = nil, onnxpb.TensorProto_EXTERNAL.Enum()
			pairs := entries(f)
			for i := 0; i < len(pairs); i += 2 {
				tensor.ExternalData = append(tensor.ExternalData,
					&onnxpb.StringStringEntryProto{Key: proto.String(pairs[i]), Value: proto.String(pairs[i+1])})
			}
			return encode(t, model)
		}
	}
	at := func(location string) func(hostileFolder) []byte {
		return external(func(hostileFolder) []string { return []string{"location", location} })
	}
	// filling is the sound model with a node more, of initializers and, for nil, of
	// the logits, N×3, if it is the first input.
	filling := func(operator string, opset int64, inputs ...*onnxpb.TensorProto) func(
		hostileFolder) []byte {
		return changed(func(m *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			m.OpsetImport[0].Version = proto.Int64(opset)
			node := nodeOf(operator, nil, []string{"filled"})
			for i, input := range inputs {
				name := input.GetName()
				if input != nil {
					g.Initializer = append(g.Initializer, input)
				} else if i == 0 {
					name = g.Output[0].GetName()
				}
				node.Input = append(node.Input, name)
			}
			switch {
			case operator == "Pad" && opset < 11:
				setInts(node, "pads", 0, 0, 1<<30-1, 0)
			case operator == "RandomNormal":
				setInts(node, "shape", 1<<20, 1<<20)
			}
			g.Node = append(g.Node, node)
		})
	}
	int64s := func(name string, values ...int64) *onnxpb.TensorProto {
		return &onnxpb.TensorProto{Name: proto.String(name),
			DataType: proto.Int32(int32(onnxpb.TensorProto_INT64)), Dims: []int64{int64(len(values))},
			Int64Data: values}
	}
	float32s := func(name string, values ...float32) *onnxpb.TensorProto {
		return &onnxpb.TensorProto{Name: proto.String(name),
			DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)), Dims: []int64{int64(len(values))},
			FloatData: values}
	}
	var deepGraphs, deepTypes []byte
	for range 1000 {
		deepGraphs = nested(1, 1, nested(5, 1, nested(6, 1, deepGraphs))) // GraphProto.node.attribute.g
		deepTypes = nested(4, 1, nested(1, 1, deepTypes))                 // TypeProto.sequence_type.elem_type
	}

	for _, test := range []struct {
		name string
		file func(f hostileFolder) []byte
		want string
	}{
		{"varint cut in a tag", raw(add(0xf8)),
			"MODEL: not a whole ONNX model: at byte 1093, in the model: a field's tag: unexpected EOF; the file is truncated, damaged, or no ONNX model"},
		{"varint cut in a number", raw(add(0x28, 0x80)),
			"MODEL: not a whole ONNX model: at byte 1093, in the model: model_version: unexpected EOF; the file is truncated, damaged, or no ONNX model"},
		{"varint cut in a length", raw(add(0x32, 0xff)),
			"MODEL: not a whole ONNX model: at byte 1093, in the model: the length of doc_string: unexpected EOF; the file is truncated, damaged, or no ONNX model"},
		{"varint of eleven bytes", raw(add(append([]byte{0x28}, bytes.Repeat([]byte{0x80}, 11)...)...)),
			"MODEL: not a whole ONNX model: at byte 1093, in the model: model_version: variable length integer overflow; the file is truncated, damaged, or no ONNX model"},
		{"varint beyond 64 bits",
			raw(add(append([]byte{0x28}, append(bytes.Repeat([]byte{0xff}, 9), 2)...)...)),
			"MODEL: not a whole ONNX model: at byte 1093, in the model: model_version: variable length integer overflow; the file is truncated, damaged, or no ONNX model"},
		{"varint cut among packed dimensions", raw(nested(7, 1, nested(5, 1, []byte{0x0a, 2, 3, 0x80}))),
			"MODEL: not a whole ONNX model: at byte 6, in graph.initializer[0]: dims[0]: a number: unexpected EOF; the file is truncated, damaged, or no ONNX model"},
		{"field number 0", raw(add(0x00, 1)),
			"MODEL: not a whole ONNX model: at byte 1093, in the model: a field's tag: invalid field number; the file is truncated, damaged, or no ONNX model"},

		{"dimension -1", weight(func(w *onnxpb.TensorProto) { w.Dims[0] = -1 }),
			`MODEL: graph, initializer 0, tensor "conv1.weight": dimension 0 is -1; none may be negative`},
		{"least dimension", weight(func(w *onnxpb.TensorProto) { w.Dims[3] = math.MinInt64 }),
			`MODEL: graph, initializer 0, tensor "conv1.weight": dimension 3 is -9223372036854775808; none may be negative`},
		{"dimensions that overflow to the right size", weight(func(w *onnxpb.TensorProto) {
			w.Dims = []int64{1 << 32, 1 << 32, 2, 9}
		}),
			`MODEL: graph, initializer 0, tensor "conv1.weight": the dimensions [4294967296 4294967296 2 9] multiply to more than 2^40 elements`},
		{"dimensions that overflow to 0", weight(func(w *onnxpb.TensorProto) {
			w.Dims = []int64{1 << 62, 4, 1, 1}
		}),
			`MODEL: graph, initializer 0, tensor "conv1.weight": the dimensions [4611686018427387904 4 1 1] multiply to more than 2^40 elements`},
		{"largest dimension", weight(func(w *onnxpb.TensorProto) { w.Dims = []int64{math.MaxInt64} }),
			`MODEL: graph, initializer 0, tensor "conv1.weight": the dimensions [9223372036854775807] multiply to more than 2^40 elements`},
		{"negative input dimension", changed(func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			g.Input[0].Type.GetTensorType().Shape.Dim[1].Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: math.MinInt64}
		}), `MODEL: graph input "image": its dimension 1 is -9223372036854775808; use a number from 0 to 2^40, or a name where it is free`},
		{"thousand dimensions", weight(func(w *onnxpb.TensorProto) { w.Dims = make([]int64, 1000) }),
			`MODEL: graph, initializer 0, tensor "conv1.weight": it has 1000 dimensions; at most 64 are allowed`},

		{"cycle of one node", changed(func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			g.Node[1].Input[0] = g.Node[1].Output[0]
		}),
			`MODEL: node 1 (Relu "relu1"): its input "relu1.output" depends on its own output: the graph has a cycle (node 1 (Relu "relu1"))`},
		{"cycle of three nodes", changed(func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			g.Node[0].Input[0] = g.Node[2].Output[0]
		}),
			`MODEL: node 0 (Conv "conv1"): its input "pool1.output" depends on its own output: the graph has a cycle (node 0 (Conv "conv1"), node 2 (MaxPool "pool1"), node 1 (Relu "relu1"))`},
		{"cycle of functions", changed(func(m *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			importDomain(m, "local")
			m.Functions = []*onnxpb.FunctionProto{functionOf("F", local("G", "x", "y")),
				functionOf("G", local("F", "x", "y"))}
		}), `MODEL: function "local.F": it calls itself, directly or through others; ONNX functions may not be recursive, and runtimes expand them until memory ends`},

		{"node takes a name that is nowhere", changed(func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			g.Node[4].Input[1] = "ghost"
		}),
			`MODEL: node 4 (Gemm "fc1"): its input "ghost" is made by no node and is no input or initializer; correct the name or add what makes it`},
		{"output is a name that is nowhere", changed(func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			g.Output[0].Name = proto.String("ghost")
		}),
			`MODEL: graph output "ghost" is made by no node; name a value that one makes`},
		{"function's output is nowhere", changed(func(m *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			importDomain(m, "local")
			m.Functions = []*onnxpb.FunctionProto{functionOf("F",
				nodeOf("Relu", []string{"x"}, []string{"z"}))}
		}), `MODEL: function "local.F": its output "y" is made by no node`},
		{"name of a megabyte that is nowhere", changed(func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			g.Node[1].Input[0] = strings.Repeat("ghost", 200_000)
		}), `MODEL: node 1 (Relu "relu1"): its input "ghostghostghostghostghostghostghostghostghostghostghostghostghostghostghostghost…" is made by no node and is no input or initializer; correct the name or add what makes it`},

		{"initializer twice", changed(func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			g.Initializer = append(g.Initializer, g.Initializer[1])
		}), `MODEL: the initializer "conv1.bias" is given twice; names are unique`},
		{"initializer dense and sparse", changed(func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			indices := &onnxpb.TensorProto{DataType: proto.Int32(int32(onnxpb.TensorProto_INT64)),
				Dims: []int64{1}, Int64Data: []int64{0}}
			values := &onnxpb.TensorProto{Name: proto.String("fc1.bias"),
				DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)), Dims: []int64{1},
				FloatData: []float32{1}}
			g.SparseInitializer = []*onnxpb.SparseTensorProto{{Values: values, Indices: indices,
				Dims: []int64{3}}}
		}), `MODEL: the initializer "fc1.bias" is given twice; names are unique`},
		{"initializer called as a node's output",
			changed(func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) {
				g.Initializer[1].Name, g.Node[0].Input[2] = proto.String("relu1.output"), "relu1.output"
			}), `MODEL: node 1 (Relu "relu1"): output 0 is called "relu1.output", but something before it is called so too; names in a graph are unique`},

		{"raw_data a byte short", weight(func(w *onnxpb.TensorProto) { w.RawData = w.RawData[1:] }),
			`MODEL: graph, initializer 0, tensor "conv1.weight": its shape [2 1 3 3] of float needs 72 entries in raw_data, but there are 71; the file is damaged`},
		{"raw_data a byte long", weight(func(w *onnxpb.TensorProto) { w.RawData = append(w.RawData, 0) }),
			`MODEL: graph, initializer 0, tensor "conv1.weight": its shape [2 1 3 3] of float needs 72 entries in raw_data, but there are 73; the file is damaged`},
		{"raw_data empty", weight(func(w *onnxpb.TensorProto) { w.RawData = []byte{} }),
			`MODEL: graph, initializer 0, tensor "conv1.weight": its shape [2 1 3 3] of float needs 72 entries in raw_data, but there are 0; the file is damaged`},
		{"raw_data of half a float16", weight(func(w *onnxpb.TensorProto) {
			w.DataType, w.RawData = proto.Int32(int32(onnxpb.TensorProto_FLOAT16)), make([]byte, 35)
		}), `MODEL: graph, initializer 0, tensor "conv1.weight": its shape [2 1 3 3] of float16 needs 36 entries in raw_data, but there are 35; the file is damaged`},
		{"raw_data of strings", weight(func(w *onnxpb.TensorProto) {
			w.DataType = proto.Int32(int32(onnxpb.TensorProto_STRING))
		}),
			`MODEL: graph, initializer 0, tensor "conv1.weight": a tensor of string does not store its data in raw_data`},

		{"external data at an absolute path", external(func(f hostileFolder) []string {
			return []string{"location", f.secret}
		}),
			`MODEL: graph, initializer 0, tensor "conv1.weight": external data: the location "SECRET" leads out of the model's folder; it must be a path below the model's folder`},
		{"external data at a device", at("/dev/zero"),
			`MODEL: graph, initializer 0, tensor "conv1.weight": external data: the location "/dev/zero" leads out of the model's folder; it must be a path below the model's folder`},
		{"external data at ..", at("../secret"),
			`MODEL: graph, initializer 0, tensor "conv1.weight": external data: the location "../secret" leads out of the model's folder; it must be a path below the model's folder`},
		{"external data at .. further on", at("sub/../weights"),
			`MODEL: graph, initializer 0, tensor "conv1.weight": external data: the location "sub/../weights" contains ..; it must be a path below the model's folder`},
		{"external data at .. of Windows", at(`sub\..\..\secret`),
			`MODEL: graph, initializer 0, tensor "conv1.weight": external data: the location "sub\\..\\..\\secret" contains ..; it must be a path below the model's folder`},
		{"external data at a drive of Windows", at(`C:\secret`),
			`MODEL: graph, initializer 0, tensor "conv1.weight": external data: the location "C:\\secret" is absolute; it must be a path below the model's folder`},
		{"external data through a link", at("link"),
			`MODEL: graph, initializer 0, tensor "conv1.weight": external data: "link" cannot be opened within the model's folder (a symbolic link may not lead out of it; copy the file in its place): openat link: path escapes from parent`},
		{"external data through a relative link", at("relative"),
			`MODEL: graph, initializer 0, tensor "conv1.weight": external data: "relative" cannot be opened within the model's folder (a symbolic link may not lead out of it; copy the file in its place): openat relative: path escapes from parent`},
		{"external data through a link of a folder", at("up/secret"),
			`MODEL: graph, initializer 0, tensor "conv1.weight": external data: "up/secret" cannot be opened within the model's folder (a symbolic link may not lead out of it; copy the file in its place): openat up/secret: path escapes from parent`},
		{"external data at a link to itself", at("loop"),
			`MODEL: graph, initializer 0, tensor "conv1.weight": external data: "loop" cannot be opened within the model's folder (a symbolic link may not lead out of it; copy the file in its place): openat loop: too many levels of symbolic links`},
		{"external data at a link to nothing", at("dangling"),
			`MODEL: graph, initializer 0, tensor "conv1.weight": external data: "dangling" is missing in the model's folder; put it there: openat dangling: no such file or directory`},
		{"external data in a FIFO", at("fifo"),
			`MODEL: graph, initializer 0, tensor "conv1.weight": external data: "fifo" is a FIFO, not a file`},
		{"external data in a folder", at("sub"),
			`MODEL: graph, initializer 0, tensor "conv1.weight": external data: "sub" is a folder, not a file`},
		{"external data in the model itself, beyond its end", external(func(hostileFolder) []string {
			return []string{"location", "model.onnx", "offset", "9223372036854775807", "length", "72"}
		}), `MODEL: graph, initializer 0, tensor "conv1.weight": external data: "model.onnx" is 1090 bytes long, but 72 bytes from byte 9223372036854775807 are asked for; the file is truncated or another model's`},

		{"graphs nested a thousand deep", raw(nested(7, 1, deepGraphs)),
			"MODEL: not a whole ONNX model: at byte 300, in graph.node[0].attribute[0].g.node[0].….node[0].attribute[0].g: messages are nested deeper than 100; no runtime reads that"},
		{"types nested a thousand deep", raw(nested(7, 1, nested(11, 1, nested(2, 1, deepTypes)))),
			"MODEL: not a whole ONNX model: at byte 300, in graph.input[0].type.sequence_type.elem_type.….sequence_type.elem_type.sequence_type: messages are nested deeper than 100; no runtime reads that"},

		{"2 GB claimed by a length", raw(claim(7, math.MaxInt32)),
			"MODEL: not a whole ONNX model: at byte 0, in the model: graph claims 2147483647 bytes, but only 0 are left; the file is truncated or damaged"},
		{"2 GB claimed by raw_data's length", raw(nested(7, 1, nested(5, 1, claim(9, math.MaxInt32)))),
			"MODEL: not a whole ONNX model: at byte 4, in graph.initializer[0]: raw_data claims 2147483647 bytes, but only 0 are left; the file is truncated or damaged"},
		{"length of 2^64-1", raw(claim(7, math.MaxUint64)),
			"MODEL: not a whole ONNX model: at byte 0, in the model: graph claims 18446744073709551615 bytes, but only 0 are left; the file is truncated or damaged"},
		{"2 GB claimed by a shape", weight(func(w *onnxpb.TensorProto) { w.Dims = []int64{1 << 29} }),
			`MODEL: graph, initializer 0, tensor "conv1.weight": its shape [536870912] of float needs 2147483648 entries in raw_data, but there are 72; the file is damaged`},
		{"2 GB claimed by the shape of a type without data", weight(func(w *onnxpb.TensorProto) {
			w.Dims, w.RawData = []int64{1 << 31}, nil
		}),
			`MODEL: graph, initializer 0, tensor "conv1.weight": its shape [2147483648] claims 2147483648 elements, but it holds no data`},
		{"2 GB claimed of an external file", func(f hostileFolder) []byte {
			model := tinyModel(t)
			tensor := model.Proto.Graph.Initializer[0]
			tensor.RawData, tensor.Dims, tensor.DataLocation = nil, []int64{1<<29 - 1},
				onnxpb.TensorProto_EXTERNAL.Enum()
			tensor.ExternalData = []*onnxpb.StringStringEntryProto{{Key: proto.String("location"),
				Value: proto.String("weights")}}
			return encode(t, model)
		}, `MODEL: graph, initializer 0, tensor "conv1.weight": external data: 2147483644 bytes more would make the model larger than 2 GiB, which this program does not load`},
		{"1 GB claimed of an external file", func(f hostileFolder) []byte {
			model := tinyModel(t)
			tensor := model.Proto.Graph.Initializer[0]
			tensor.RawData, tensor.Dims, tensor.DataLocation = nil, []int64{1 << 28},
				onnxpb.TensorProto_EXTERNAL.Enum()
			tensor.ExternalData = []*onnxpb.StringStringEntryProto{{Key: proto.String("location"),
				Value: proto.String("weights")}}
			return encode(t, model)
		}, `MODEL: graph, initializer 0, tensor "conv1.weight": external data: "weights" is 72 bytes long, but 1073741824 bytes from byte 0 are asked for; the file is truncated or another model's`},
		{"16 GB claimed by a padding", changed(func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			setInts(g.Node[0], "pads", 1<<15, 1<<15, 1<<15, 1<<15)
		}), `MODEL: node 0 (Conv "conv1"): its output float[N×2×65540×65540] would hold more than 2^31 elements`},
		{"2 TB filled by a shape", filling("ConstantOfShape", 13, int64s("shape", 1<<20, 1<<19)),
			`MODEL: node 5 (ConstantOfShape): it fills 549755813888 elements by sizes in the file; at most 2^28 are allowed`},
		{"2 GB filled by a Constant's shape", changed(func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			constant := nodeOf("Constant", nil, []string{"shape"})
			setInts(constant, "value_ints", 1<<29)
			g.Node = append(g.Node, constant, nodeOf("ConstantOfShape", []string{"shape"},
				[]string{"filled"}))
		}), `MODEL: node 6 (ConstantOfShape): it fills 536870912 elements by sizes in the file; at most 2^28 are allowed`},
		{"2 GB filled in four pieces", changed(func(_ *onnxpb.ModelProto, g *onnxpb.GraphProto) {
			g.Initializer = append(g.Initializer, int64s("shape", 1<<27))
			for i := range 4 {
				g.Node = append(g.Node, nodeOf("ConstantOfShape", []string{"shape"},
					[]string{fmt.Sprintf("filled%d", i)}))
			}
		}), `MODEL: node 7 (ConstantOfShape): it and the nodes before it fill 402653184 elements by sizes in the file; at most 2^28 are allowed together`},
		{"sizes that overflow",
			filling("ConstantOfShape", 13, int64s("shape", math.MaxInt64, math.MaxInt64, math.MaxInt64)),
			`MODEL: node 5 (ConstantOfShape): it fills 7.84637716923335e+56 elements by sizes in the file; at most 2^28 are allowed`},
		{"expanded", filling("Expand", 13, nil, int64s("shape", 1, 1<<30, 1)),
			`MODEL: node 5 (Expand): it fills 3221225472 elements by sizes in the file; at most 2^28 are allowed`},
		{"tiled", filling("Tile", 13, nil, int64s("repeats", 1<<14, 1<<14)),
			`MODEL: node 5 (Tile): it fills 805306368 elements by sizes in the file; at most 2^28 are allowed`},
		{"padded", filling("Pad", 13, nil, int64s("pads", 0, 0, 1<<29, 0)),
			`MODEL: node 5 (Pad): it fills 1610612739 elements by sizes in the file; at most 2^28 are allowed`},
		{"padded by an attribute", filling("Pad", 10, nil),
			`MODEL: node 5 (Pad): it fills 3221225472 elements by sizes in the file; at most 2^28 are allowed`},
		{"resized to sizes", filling("Resize", 13, nil, nil, nil, int64s("sizes", 1<<15, 1<<15)),
			`MODEL: node 5 (Resize): it fills 1073741824 elements by sizes in the file; at most 2^28 are allowed`},
		{"resized by scales", filling("Resize", 13, nil, nil, float32s("scales", 1<<15, 1<<15)),
			`MODEL: node 5 (Resize): it fills 3221225472 elements by sizes in the file; at most 2^28 are allowed`},
		{"upsampled", filling("Upsample", 9, nil, float32s("scales", 1<<15, 1<<15)),
			`MODEL: node 5 (Upsample): it fills 3221225472 elements by sizes in the file; at most 2^28 are allowed`},
		{"ranged", filling("Range", 13, int64s("start", 0), int64s("limit", 1<<40), int64s("delta", 2)),
			`MODEL: node 5 (Range): it fills 549755813888 elements by sizes in the file; at most 2^28 are allowed`},
		{"one-hot", filling("OneHot", 13, nil, int64s("depth", 1<<30), float32s("values", 0, 1)),
			`MODEL: node 5 (OneHot): it fills 3221225472 elements by sizes in the file; at most 2^28 are allowed`},
		{"random", filling("RandomNormal", 13),
			`MODEL: node 5 (RandomNormal): it fills 1099511627776 elements by sizes in the file; at most 2^28 are allowed`},
		{"four megabytes of empty nodes", raw(nested(7, 1, bytes.Repeat([]byte{0x0a, 0}, 1<<21))),
			"MODEL: not a whole ONNX model: at byte 2162693, in graph: node[1081343]: decoding would take more memory than twice the file and 256 MiB; the file is made of tiny parts, as no real model is"},
	} {
		t.Run(test.name, func(t *testing.T) {
			folder := newHostileFolder(t)
			file := test.file(folder)
			if err := os.WriteFile(folder.model, file, 0o644); err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := cputime.Used()
			model, err := onnx.Read(folder.model)
			if err == nil {
				err = model.Check()
			}
			elapsed := cputime.Used() - start
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Fatal("it is taken")
			}
			got := strings.NewReplacer(folder.model, "MODEL", folder.secret, "SECRET").Replace(err.Error())
			if got != test.want {
				t.Errorf("error\n %s\nwant\n %s", got, test.want)
			}
			if elapsed > hostileTime {
				t.Errorf("it took %v", elapsed)
			}
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > hostileMemory+
				2*uint64(len(file)) {
				t.Errorf("refusing a file of %d bytes allocated %d", len(file), allocated)
			}
		})
	}
}

// TestHostileModelFiles gives Read what is no file, or is not where it seems.
func TestHostileModelFiles(t *testing.T) {
	folder := newHostileFolder(t)
	for name, want := range map[string]string{
		"fifo":     "read the model: FOLDER/fifo is a FIFO, not a file",
		"sub":      "read the model: FOLDER/sub is a folder, not a file",
		"loop":     "read the model: open FOLDER/loop: too many levels of symbolic links",
		"dangling": "read the model: open FOLDER/dangling: no such file or directory",
	} {
		start := cputime.Used()
		_, err := onnx.Read(filepath.Join(folder.path, name))
		if err == nil {
			t.Errorf("%s is read", name)
			continue
		}
		if got := strings.ReplaceAll(err.Error(), folder.path, "FOLDER"); got != want {
			t.Errorf("%s: error %q, want %q", name, got, want)
		}
		if elapsed := cputime.Used() - start; elapsed > hostileTime {
			t.Errorf("%s took %v", name, elapsed)
		}
	}
}
