// Package testresult attests what the conformance table says: which runtimes gave a graph's
// answers.
//
// The attestation is an in-toto statement with the predicate
// https://in-toto.io/attestation/test-result/v0.1. Its subjects are the graphs, by their SHA-256; a
// test is one graph in one runtime. It is signed and verified as a model is (package provenance).
package testresult

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	predicate "github.com/in-toto/attestation/go/predicates/test_result/v0"
	attestation "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

// PredicateType is that of a test result.
const PredicateType = "https://in-toto.io/attestation/test-result/v0.1"

// Results are a predicate's result: all tests passed, some were refused by their runtime and the
// others passed, or some failed.
const (
	Passed = "PASSED"
	Warned = "WARNED"
	Failed = "FAILED"
)

// What the table says of a graph in a runtime; whatever else it says is a failure.
const (
	agrees  = "agrees"
	refuses = "refuses"
)

// table is what is read of docs/conformance.json.
type table struct {
	Command   string  `json:"command"`
	Date      string  `json:"date"`
	CPU       string  `json:"cpu"`
	System    string  `json:"system"`
	Tolerance float64 `json:"tolerance"`
	Rows      []row   `json:"rows"`
}

type row struct {
	Model     string `json:"model"`
	SHA256    string `json:"model_sha256"`
	Runtime   string `json:"runtime"`
	Version   string `json:"version"`
	Precision string `json:"precision"`
	Images    int    `json:"images"`
	Status    string `json:"status"`
}

// test names the row's test, such as "e1.onnx in onnxruntime-go 1.32.0, float32".
func (r row) test() string {
	return fmt.Sprintf("%s in %s %s, %s", r.Model, r.Runtime, r.Version, r.Precision)
}

// Of makes the statement of a conformance table, the bytes of docs/conformance.json, on graphs by
// their SHA-256 in hexadecimal; on all of its graphs if there are none. A graph that the table
// does not have, under exactly that digest, is an error.
func Of(conformance []byte, graphs ...string) (*attestation.Statement, error) {
	var t table
	if err := json.Unmarshal(conformance, &t); err != nil {
		return nil, fmt.Errorf("it is no conformance table: %w", err)
	}
	if len(t.Rows) == 0 {
		return nil, errors.New("it is no conformance table: it has no rows")
	}
	result, subjects := &predicate.TestResult{}, make(map[string]string)
	images := math.MaxInt // that each of the tests had at least
	for i, r := range t.Rows {
		if !isSHA256(r.SHA256) || r.Model == "" || r.Runtime == "" {
			return nil, fmt.Errorf("row %d of the conformance table lacks a model, its SHA-256 or a runtime",
				i+1)
		}
		if len(graphs) > 0 && !slices.Contains(graphs, r.SHA256) {
			continue
		}
		subjects[r.SHA256] = r.Model
		images = min(images, r.Images)
		switch r.Status {
		case agrees:
			result.PassedTests = append(result.PassedTests, r.test())
		case refuses:
			result.WarnedTests = append(result.WarnedTests, r.test())
		default:
			result.FailedTests = append(result.FailedTests, r.test())
		}
	}
	for _, graph := range graphs {
		if subjects[graph] == "" {
			return nil, fmt.Errorf("the conformance table has no graph with the SHA-256 %s: it was not "+
				"tested, or has changed since", graph)
		}
	}
	switch {
	case len(result.FailedTests) > 0:
		result.Result = Failed
	case len(result.WarnedTests) > 0:
		result.Result = Warned
	default:
		result.Result = Passed
	}
	configuration, err := t.configuration(conformance, images)
	if err != nil {
		return nil, err
	}
	result.Configuration = []*attestation.ResourceDescriptor{configuration}
	return statement(result, subjects)
}

// configuration is the table with its digest, and how it came to be.
func (t table) configuration(content []byte, images int) (*attestation.ResourceDescriptor, error) {
	known := map[string]any{"command": t.Command, "date": t.Date, "cpu": t.CPU, "system": t.System,
		"images": images, "tolerance": t.Tolerance}
	// What the table does not say is not zero.
	maps.DeleteFunc(known, func(_ string, value any) bool {
		return value == "" || value == 0 || value == 0.0
	})
	notes, err := structpb.NewStruct(known)
	if err != nil {
		return nil, fmt.Errorf("the conformance table: %w", err)
	}
	sum := sha256.Sum256(content)
	return &attestation.ResourceDescriptor{Name: "conformance.json",
		Digest:      map[string]string{"sha256": hex.EncodeToString(sum[:])},
		Annotations: notes}, nil
}

func statement(result *predicate.TestResult, subjects map[string]string) (*attestation.Statement,
	error) {
	encoded, err := protojson.Marshal(result)
	if err != nil {
		return nil, fmt.Errorf("the test result: %w", err)
	}
	fields := new(structpb.Struct)
	if err := protojson.Unmarshal(encoded, fields); err != nil {
		return nil, fmt.Errorf("the test result: %w", err)
	}
	s := &attestation.Statement{Type: attestation.StatementTypeUri, PredicateType: PredicateType,
		Predicate: fields}
	for _, digest := range slices.SortedFunc(maps.Keys(subjects), func(a, b string) int {
		return bytes.Compare([]byte(subjects[a]+a), []byte(subjects[b]+b))
	}) {
		s.Subject = append(s.Subject, &attestation.ResourceDescriptor{Name: subjects[digest],
			Digest: map[string]string{"sha256": digest}})
	}
	return s, nil
}

func isSHA256(text string) bool {
	decoded, err := hex.DecodeString(text)
	return err == nil && len(decoded) == sha256.Size
}

// A Result is what a statement of tests says.
type Result struct {
	// Graphs are the names of those that were tested, by their SHA-256 in hexadecimal.
	Graphs map[string]string
	// Outcome is Passed, Warned or Failed.
	Outcome string
	// Passed, Warned and Failed are the names of the tests.
	Passed, Warned, Failed []string
}

// Read returns what a verified statement says of tests. One of something else, or one that says
// otherwise than its tests do, is an error.
func Read(statement *attestation.Statement) (*Result, error) {
	if statement.GetPredicateType() != PredicateType {
		return nil,
			fmt.Errorf("what was signed is no test result: the predicate is of the type %.80q, and "+
				"%s is one's", statement.GetPredicateType(), PredicateType)
	}
	encoded, err := protojson.Marshal(statement.GetPredicate())
	if err != nil {
		return nil, fmt.Errorf("the test result: %w", err)
	}
	result := new(predicate.TestResult)
	lenient := protojson.UnmarshalOptions{DiscardUnknown: true}
	if err := lenient.Unmarshal(encoded, result); err != nil {
		return nil, fmt.Errorf("the test result: %w", err)
	}
	r := &Result{Graphs: make(map[string]string), Outcome: result.GetResult(),
		Passed: result.GetPassedTests(), Warned: result.GetWarnedTests(), Failed: result.GetFailedTests()}
	for _, subject := range statement.GetSubject() {
		r.Graphs[subject.GetDigest()["sha256"]] = subject.GetName()
	}
	ran := len(r.Passed) + len(r.Warned) + len(r.Failed)
	switch {
	case r.Outcome != Passed && r.Outcome != Warned && r.Outcome != Failed:
		return nil, fmt.Errorf("the test result is %.40q; %s, %s and %s are known", r.Outcome, Passed,
			Warned,
			Failed)
	case ran == 0:
		return nil, errors.New("the test result names no test")
	case (r.Outcome == Failed) != (len(r.Failed) > 0) || r.Outcome == Passed && len(r.Warned) > 0:
		return nil, fmt.Errorf("the test result says %s, and %d tests failed and %d warned", r.Outcome,
			len(r.Failed), len(r.Warned))
	}
	return r, nil
}
