// Package tensorboard writes the curves of training runs as the event files that
// TensorBoard reads.
//
// An event file is a sequence of TFRecords, each the length of its data, the data,
// and a checksum of each (tensorflow/core/lib/io/record_writer.h); the data are
// messages of tensorflow/core/util/event.proto, of which only the file's version,
// the start of a session and scalar summaries are needed.
package tensorboard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"slipway/train"
)

// Fields of the messages, by their numbers in event.proto and summary.proto.
const (
	eventWallTime    = 1 // double, seconds since 1970
	eventStep        = 2 // int64
	eventFileVersion = 3 // string
	eventSummary     = 5 // Summary
	eventSessionLog  = 7 // SessionLog

	summaryValue     = 1 // Value, repeated
	valueTag         = 1 // string
	valueSimple      = 2 // float
	sessionLogStatus = 1 // enum
	statusStart      = 1

	fileVersion = "brain.Event:2"
)

// Scalar is one point of a curve.
type Scalar struct {
	// Tag names the curve; what stands before its first slash groups curves.
	Tag   string
	Value float64
}

// Writer appends to one event file. It is not safe for concurrent use.
type Writer struct {
	file *os.File
	now  func() time.Time
}

// Create begins an event file in the folder, which is a run's: TensorBoard shows one
// curve a folder. A run that goes on after so many steps gets another file, and what
// earlier files have of later steps is no longer shown: of a run that starts again, after
// 0 steps, nothing.
func Create(dir string, steps int) (*Writer, error) {
	return create(dir, steps, time.Now)
}

func create(dir string, steps int, now func() time.Time) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("create TensorBoard's folder: %w", err)
	}
	// TensorBoard takes any file with "tfevents" in its name, and reads those of a
	// folder in the order of their names.
	began := now()
	path := filepath.Join(dir, fmt.Sprintf("events.out.tfevents.%010d.%09d.slipway", began.Unix(),
		began.Nanosecond()))
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, fmt.Errorf("create an event file: %w", err)
	}
	w := &Writer{file, now}
	err = w.write(0, func(event []byte) []byte {
		event = protowire.AppendTag(event, eventFileVersion, protowire.BytesType)
		return protowire.AppendString(event, fileVersion)
	})
	if err == nil {
		err = w.write(steps+1, func(event []byte) []byte {
			start := protowire.AppendTag(nil, sessionLogStatus, protowire.VarintType)
			start = protowire.AppendVarint(start, statusStart)
			event = protowire.AppendTag(event, eventSessionLog, protowire.BytesType)
			return protowire.AppendBytes(event, start)
		})
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return w, nil
}

// Scalars appends one point to each curve. A value that is no number is written as
// such.
func (w *Writer) Scalars(step int, scalars ...Scalar) error {
	return w.write(step, func(event []byte) []byte {
		var summary []byte
		for _, s := range scalars {
			value := protowire.AppendTag(nil, valueTag, protowire.BytesType)
			value = protowire.AppendString(value, s.Tag)
			value = protowire.AppendTag(value, valueSimple, protowire.Fixed32Type)
			value = protowire.AppendFixed32(value, math.Float32bits(float32(s.Value)))
			summary = protowire.AppendTag(summary, summaryValue, protowire.BytesType)
			summary = protowire.AppendBytes(summary, value)
		}
		event = protowire.AppendTag(event, eventSummary, protowire.BytesType)
		return protowire.AppendBytes(event, summary)
	})
}

// Epoch appends what an epoch came to, with the epoch's number as the step.
func (w *Writer) Epoch(e train.Epoch) error {
	scalars := []Scalar{
		{"loss/mean", e.MeanLoss}, {"loss/cross-entropy", e.MeanCrossEntropy},
		{"accuracy/training", e.TrainAccuracy},
		{"speed/images per second", e.ImagesPerSecond},
	}
	for _, optional := range []struct {
		tag   string
		value *float64
	}{{"loss/validation", e.ValidationLoss}, {"accuracy/validation", e.ValidationAccuracy},
		{"accuracy/test", e.TestAccuracy},
		{"labels/validation mean average precision", e.ValidationMeanAveragePrecision},
		{"labels/validation macro F1", e.ValidationMacroF1},
		{"labels/validation micro F1", e.ValidationMicroF1}} {
		if optional.value != nil {
			scalars = append(scalars, Scalar{optional.tag, *optional.value})
		}
	}
	return w.Scalars(e.Epoch, scalars...)
}

// Close ends the file. Nothing is kept back before it: TensorBoard shows each point
// as it is written.
func (w *Writer) Close() error {
	if err := w.file.Close(); err != nil {
		return fmt.Errorf("close the event file: %w", err)
	}
	return nil
}

// write appends an event as one record, in one call to the system: a process that is
// killed leaves whole records, but for the last.
func (w *Writer) write(step int, what func(event []byte) []byte) error {
	seconds := float64(w.now().UnixNano()) / 1e9
	event := protowire.AppendTag(nil, eventWallTime, protowire.Fixed64Type)
	event = protowire.AppendFixed64(event, math.Float64bits(seconds))
	event = protowire.AppendTag(event, eventStep, protowire.VarintType)
	event = protowire.AppendVarint(event, uint64(step))
	if _, err := w.file.Write(record(what(event))); err != nil {
		return fmt.Errorf("write the event file: %w", err)
	}
	return nil
}

// record frames the data as a TFRecord.
func record(data []byte) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	out = binary.LittleEndian.AppendUint32(out, maskedCRC(out))
	out = append(out, data...)
	return binary.LittleEndian.AppendUint32(out, maskedCRC(data))
}

// maskedCRC is CRC32C, rotated and shifted so that the checksum of data that hold
// checksums is no trouble (tensorflow/core/lib/hash/crc32c.h).
func maskedCRC(data []byte) uint32 {
	crc := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
	return (crc>>15 | crc<<17) + 0xa282ead8
}
