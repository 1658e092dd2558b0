package tensorboard

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"slipway/train"
)

var update = flag.Bool("update", false,
	"write testdata/golden/ again; then run scripts/tensorboard/read-events on it")

// point is one value of a curve as a reader finds it.
type point struct {
	Tag   string  `json:"tag"`
	Step  int     `json:"step"`
	Value float32 `json:"value"`
	Time  float64 `json:"wall_time"`
}

// golden writes a run that goes on: two epochs, then, after a crash that lost the
// second's checkpoint, the second and the third. Before them the folder has another run
// of the same name, with more epochs.
func golden(t *testing.T, dir string) {
	t.Helper()
	clock := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	now := func() time.Time {
		clock = clock.Add(time.Second)
		return clock
	}
	half, quarter := 0.5, 0.25
	for _, part := range []struct {
		done   int
		epochs []train.Epoch
	}{
		{0, []train.Epoch{{Epoch: 1, MeanLoss: 7}, {Epoch: 2, MeanLoss: 7},
			{Epoch: 4, MeanLoss: 7, TestAccuracy: &half}}},
		{0, []train.Epoch{{Epoch: 1, MeanLoss: 1.5, MeanCrossEntropy: 1.25, TrainAccuracy: 0.5,
			ImagesPerSecond: 1e4}, {Epoch: 2, MeanLoss: 9, TestAccuracy: &quarter}}},
		{1, []train.Epoch{{Epoch: 2, MeanLoss: 0.75, ValidationLoss: &half, ValidationAccuracy: &quarter,
			TestAccuracy: &half}, {Epoch: 3, MeanLoss: math.NaN()}}},
	} {
		w, err := create(dir, part.done, now)
		if err != nil {
			t.Fatal(err)
		}
		for _, epoch := range part.epochs {
			if err := w.Epoch(epoch); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// The files are, byte for byte, those that TensorBoard itself has read: read.json is
// what it found in them, by scripts/tensorboard/read-events.
func TestFilesAreThoseThatTensorBoardRead(t *testing.T) {
	dir := t.TempDir()
	golden(t, dir)
	files, err := filepath.Glob(filepath.Join(dir, "*tfevents*"))
	if err != nil || len(files) != 3 {
		t.Fatalf("%v, %v", files, err)
	}
	var written []point
	for _, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		kept := filepath.Join("testdata", "golden", filepath.Base(path))
		if *update {
			if err := os.WriteFile(kept, raw, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(kept)
		if err != nil {
			t.Fatal(err)
		}
		if string(raw) != string(want) {
			t.Errorf("%s differs from the file that TensorBoard read", path)
		}
		points, purgeFrom, err := decode(raw)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if purgeFrom > 0 {
			var before []point
			for _, p := range written {
				if p.Step < purgeFrom {
					before = append(before, p)
				}
			}
			written = before
		}
		written = append(written, points...)
	}
	raw, err := os.ReadFile(filepath.Join("testdata", "read.json"))
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		TensorBoard string             `json:"tensorboard"`
		Points      map[string][]point `json:"points"`
	}
	// Python writes NaN as such, which JSON does not have.
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(raw), "NaN", "-1")), &read); err != nil {
		t.Fatal(err)
	}
	ours := make(map[string][]point)
	for _, p := range written {
		tag := p.Tag
		p.Tag = ""
		if math.IsNaN(float64(p.Value)) {
			p.Value = -1
		}
		ours[tag] = append(ours[tag], p)
	}
	if !reflect.DeepEqual(ours, read.Points) {
		t.Errorf("the files hold\n%v\nTensorBoard %s read\n%v", ours, read.TensorBoard, read.Points)
	}
}

// decode is a second reader of the format, that shares nothing with the writer but
// the library for varints: it checks each checksum bit by bit.
func decode(raw []byte) (points []point, purgeFrom int, err error) {
	first := true
	for len(raw) > 0 {
		if len(raw) < 12 {
			return nil, 0, io.ErrUnexpectedEOF
		}
		length := binary.LittleEndian.Uint64(raw)
		if got := binary.LittleEndian.Uint32(raw[8:]); got != masked(raw[:8]) {
			return nil, 0, errors.New("the checksum of a length is wrong")
		}
		if uint64(len(raw)) < 16+length {
			return nil, 0, io.ErrUnexpectedEOF
		}
		data := raw[12 : 12+length]
		if got := binary.LittleEndian.Uint32(raw[12+length:]); got != masked(data) {
			return nil, 0, errors.New("the checksum of a record is wrong")
		}
		raw = raw[16+length:]
		e, err := decodeEvent(data)
		if err != nil {
			return nil, 0, err
		}
		if first != (e.version == "brain.Event:2") {
			return nil, 0, fmt.Errorf("the version %q stands where it should not, or is missing", e.version)
		}
		first = false
		if e.start {
			purgeFrom = e.step
		}
		points = append(points, e.points...)
	}
	return points, purgeFrom, nil
}

type event struct {
	version string
	step    int
	start   bool
	points  []point
}

func decodeEvent(data []byte) (event, error) {
	var e event
	wall := 0.0
	err := each(data, func(number protowire.Number, raw []byte, scalar uint64) error {
		switch number {
		case 1:
			wall = math.Float64frombits(scalar)
		case 2:
			e.step = int(scalar)
		case 3:
			e.version = string(raw)
		case 5:
			return each(raw, func(_ protowire.Number, value []byte, _ uint64) error {
				p := point{Step: e.step, Time: wall}
				err := each(value, func(number protowire.Number, raw []byte, scalar uint64) error {
					if number == 1 {
						p.Tag = string(raw)
					} else {
						p.Value = math.Float32frombits(uint32(scalar))
					}
					return nil
				})
				e.points = append(e.points, p)
				return err
			})
		case 7:
			e.start = true
		}
		return nil
	})
	return e, err
}

// each walks the fields of a message.
func each(data []byte, field func(number protowire.Number, raw []byte, scalar uint64) error) error {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		var raw []byte
		var scalar uint64
		switch kind {
		case protowire.VarintType:
			scalar, n = protowire.ConsumeVarint(data)
		case protowire.Fixed64Type:
			scalar, n = protowire.ConsumeFixed64(data)
		case protowire.Fixed32Type:
			var short uint32
			short, n = protowire.ConsumeFixed32(data)
			scalar = uint64(short)
		default:
			raw, n = protowire.ConsumeBytes(data)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		if err := field(number, raw, scalar); err != nil {
			return err
		}
	}
	return nil
}

// masked is the masked CRC32C by its definition: Castagnoli's polynomial, reflected,
// a bit at a time.
func masked(data []byte) uint32 {
	crc := ^uint32(0)
	for _, b := range data {
		crc ^= uint32(b)
		for range 8 {
			low := crc & 1
			crc >>= 1
			if low == 1 {
				crc ^= 0x82f63b78
			}
		}
	}
	crc = ^crc
	return (crc>>15 | crc<<17) + 0xa282ead8
}

func TestAFolderThatCannotBe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(path, 0); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
}
