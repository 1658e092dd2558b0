package testresult_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	"slipway/provenance"
	"slipway/provenance/testresult"
)

func conformance(t *testing.T) []byte {
	t.Helper()
	table, err := os.ReadFile(filepath.Join("..", "..", "docs", "conformance.json"))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// tested returns the digest of a graph that the committed table is of. The graph in graphs/ may
// have been trained anew since.
func tested(t *testing.T, graph string) string {
	t.Helper()
	var table struct {
		Rows []struct {
			Model  string `json:"model"`
			SHA256 string `json:"model_sha256"`
		} `json:"rows"`
	}
	if err := json.Unmarshal(conformance(t), &table); err != nil {
		t.Fatal(err)
	}
	for _, row := range table.Rows {
		if row.Model == graph {
			return row.SHA256
		}
	}
	t.Fatalf("the table has no %s", graph)
	return ""
}

// What the committed table says of a graph goes through a signature and comes out the same.
func TestTheConformanceTable(t *testing.T) {
	e1 := tested(t, "e1.onnx")
	statement, err := testresult.Of(conformance(t), e1)
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "key.pem")
	if err := provenance.NewKey(key); err != nil {
		t.Fatal(err)
	}
	signer, err := provenance.ReadSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := signer.Sign(statement)
	if err != nil {
		t.Fatal(err)
	}
	verified, err := signer.Verifier().Open(bundle)
	if err != nil {
		t.Fatal(err)
	}
	result, err := testresult.Read(verified)
	if err != nil {
		t.Fatal(err)
	}
	if result.Outcome != testresult.Passed || len(result.Passed) < 15 || len(result.Warned) > 0 ||
		len(result.Failed) > 0 || len(result.Graphs) != 1 || result.Graphs[e1] != "e1.onnx" {
		t.Errorf("%+v", result)
	}
	if !slices.ContainsFunc(result.Passed, func(test string) bool {
		return strings.HasPrefix(test, "e1.onnx in onnxruntime-go 1.")
	}) {
		t.Errorf("the tests are %q", result.Passed)
	}
	configuration := statement.GetPredicate().AsMap()["configuration"].([]any)[0].(map[string]any)
	sum := sha256.Sum256(conformance(t))
	said := configuration["digest"].(map[string]any)["sha256"]
	if notes := configuration["annotations"].(map[string]any); notes["images"] != 10000.0 ||
		notes["tolerance"] != 1e-5 || len(notes) != 6 {
		t.Errorf("the notes are %v", notes)
	}
	if said != hex.EncodeToString(sum[:]) {
		t.Errorf("the table's digest is %s", said)
	}
	// A model's signature is no test result, and the other way round.
	if _, err := provenance.ManifestOf(verified); err == nil {
		t.Error("a test result is a model's signature")
	}
	all, err := testresult.Of(conformance(t))
	if err != nil {
		t.Fatal(err)
	}
	if every, err := testresult.Read(all); err != nil || len(every.Graphs) < 10 ||
		every.Outcome != testresult.Warned || len(every.Warned) == 0 || len(every.Failed) > 0 {
		t.Errorf("of all graphs: %+v, %v", every, err)
	}
}

// What the table does not say is not attested.
func TestWhatIsNotAttested(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	rowOf := func(status string) string {
		return `{"rows":[{"model":"m.onnx","model_sha256":"` + sum + `","runtime":"r","status":"` +
			status +
			`"},{"model":"m.onnx","model_sha256":"` + sum + `","runtime":"s","status":"agrees"}]}`
	}
	for status, want := range map[string]string{"agrees": testresult.Passed,
		"refuses":   testresult.Warned,
		"disagrees": testresult.Failed, "fails": testresult.Failed, "": testresult.Failed} {
		statement, err := testresult.Of([]byte(rowOf(status)))
		if err != nil {
			t.Fatal(err)
		}
		configuration := statement.GetPredicate().AsMap()["configuration"].([]any)[0].(map[string]any)
		if notes, ok := configuration["annotations"].(map[string]any); ok && len(notes) > 0 {
			t.Errorf("the table says nothing, and the notes are %v", notes)
		}
		if result, err := testresult.Read(statement); err != nil || result.Outcome != want {
			t.Errorf("%q is %+v, %v; want %s", status, result, err, want)
		}
		// One that says better than its tests did is not believed.
		if want == testresult.Failed {
			statement.Predicate.Fields["result"] = structpb.NewStringValue(testresult.Passed)
			if _, err := testresult.Read(statement); err == nil {
				t.Error("PASSED with a failed test is believed")
			}
		}
	}
	for table, says := range map[string]string{
		"":              "no conformance table",
		"{}":            "no rows",
		`{"rows":[{}]}`: "row 1",
		strings.Replace(rowOf("agrees"), sum, "abcd", 1): "row 1",
	} {
		if _, err := testresult.Of([]byte(table)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40s: %v, want %q", table, err, says)
		}
	}
	other := strings.Repeat("cd", 32)
	if _, err := testresult.Of([]byte(rowOf("agrees")), sum, other); err == nil ||
		!strings.Contains(err.Error(), other) {
		t.Errorf("a graph that was not tested: %v", err)
	}
}
