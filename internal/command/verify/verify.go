// Package verify is the command verify: models held against their signatures, and what
// attestations of tests say.
package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway/internal/cli"
	"slipway/internal/display"
	"slipway/provenance"
	"slipway/provenance/testresult"
)

const usage = `verify tells whether models are, byte for byte, what the owner of a key has signed.

  verify -key key.pub mine.onnx                       # by mine.onnx.sig
  verify -key key.pub folder/                         # by folder/model.sig, with all its files
  verify -key key.pub -signature elsewhere.sig mine.onnx
  verify -certificates roots.pem mine.onnx            # by a certificate that leads to one of these
  verify -key key.pub -test-results e1.tests.sig graphs/e1.onnx

Signatures are those of sign, and of the Python package model-signing with a key or a certificate: a
file that was changed, is missing or was not signed is named and refused.

-test-results reads a signed test result, and tells how its tests ended; the graphs that are named
must be among those that were tested, by their SHA-256.

A signature says who signed these bytes. It does not say when, and an older model of the same
signer, put back with its signature, verifies as well.

Exit status: 0 all verifies, and no test failed; 1 something does not, or a failure; 2 wrong usage.

Flags:
`

type options struct {
	key, certificates string
	signature         string
	tests             string
	version           bool
	operands          []string
}

// Main runs the command in this process with the arguments behind its name, and returns the exit
// code.
func Main(args []string) int {
	return cli.Run(os.Stderr, "", func(ctx context.Context) int {
		return Run(ctx, args, os.Stdout, os.Stderr)
	})
}

// Run is Main without the process: it returns the exit code, 0 for success, 1 for failure
// and 2 for wrong usage.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout)
	if code, done := cli.Parsed("verify", err, err == nil && o.version, stdout, stderr); done {
		return code
	}
	if err := o.run(ctx, stdout); err != nil {
		return cli.Fail(stderr, "verify", err)
	}
	return cli.ExitOK
}

func parse(args []string, stdout io.Writer) (*options, error) {
	o := &options{}
	flags := cli.NewFlagSet("verify", usage, stdout)
	flags.StringVar(&o.key, "key", "", "PEM `file` of the signer's public key")
	flags.StringVar(&o.certificates, "certificates", "",
		"PEM `file` of root certificates, for what was signed by a certificate")
	flags.StringVar(&o.signature, "signature", "",
		"`file` of the signature of one model; else MODEL.sig, and model.sig in a folder")
	flags.StringVar(&o.tests, "test-results", "",
		"`file` of a signed test result, of the named graphs")
	flags.BoolVar(&o.version, "version", false, "print the version")
	var err error
	o.operands, err = cli.ParseOperands(flags, args, cli.Words{cli.FileNames, cli.FolderNames})
	if err != nil || o.version {
		return o, err
	}
	given := cli.Given(flags)
	if err := cli.CheckNamed(given, map[string]string{"key": o.key, "certificates": o.certificates,
		"signature": o.signature, "test-results": o.tests}); err != nil {
		return nil, err
	}
	switch {
	case (o.key == "") == (o.certificates == ""):
		return nil,
			errors.New("whose signature? give -key, the public key, or -certificates; one of them")
	case o.tests != "" && o.signature != "":
		return nil, errors.New("-signature is of a model, and -test-results of tests: one of them")
	case o.tests == "" && len(o.operands) == 0:
		return nil, errors.New("there is nothing to verify: name a model, or the folder of one")
	case o.signature != "" && len(o.operands) > 1:
		return nil, fmt.Errorf("-signature is of one model, and %d are named", len(o.operands))
	}
	return o, nil
}

func (o *options) run(ctx context.Context, stdout io.Writer) error {
	verifier, by, err := o.verifier()
	if err != nil {
		return err
	}
	if o.tests != "" {
		return o.readTests(ctx, verifier, by, stdout)
	}
	// Each is looked at, whatever is wrong with those before.
	var wrong []error
	for _, path := range o.operands {
		manifest, err := o.verify(ctx, verifier, path)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		who := by
		if manifest.SignedBy != "" {
			who = fmt.Sprintf("%q, %s", manifest.SignedBy, by)
		}
		text := fmt.Sprintf("%s: verified, %s signed by %s", path,
			display.Count(len(manifest.Files), "file"), who)
		// Of what the signature leaves out, that which is there.
		ignored := slices.DeleteFunc(slices.Clone(manifest.Ignored), func(name string) bool {
			_, err := os.Lstat(filepath.Join(path, filepath.FromSlash(name)))
			return err != nil
		})
		if len(ignored) > 0 {
			text += "; not signed and not looked at: " + strings.Join(ignored, ", ")
		}
		if err := tell(stdout, text); err != nil {
			return err
		}
	}
	return errors.Join(wrong...)
}

func (o *options) verifier() (verifier *provenance.Verifier, by string, err error) {
	if o.certificates != "" {
		verifier, err = provenance.ReadCertificateVerifier(o.certificates)
		return verifier, "a certificate under " + o.certificates, err
	}
	if verifier, err = provenance.ReadVerifier(o.key); err != nil {
		return nil, "", err
	}
	return verifier, "the key " + verifier.Fingerprint(), nil
}

func (o *options) verify(ctx context.Context, verifier *provenance.Verifier, path string) (
	*provenance.Manifest, error) {
	signature := o.signature
	if signature == "" {
		var err error
		if signature, err = provenance.SignatureFile(path); err != nil {
			return nil, err
		}
	}
	return verifier.VerifyModel(ctx, path, signature)
}

// readTests tells what a test result says. Graphs that were not tested and tests that failed are
// errors.
func (o *options) readTests(ctx context.Context, verifier *provenance.Verifier, by string,
	stdout io.Writer) error {
	statement, err := verifier.ReadStatement(o.tests)
	if err != nil {
		return err
	}
	result, err := testresult.Read(statement)
	if err != nil {
		return fmt.Errorf("%s: %w", o.tests, err)
	}
	for _, path := range o.operands {
		manifest, err := provenance.Hash(ctx, path)
		if err != nil {
			return err
		}
		digest := manifest.Files[0].Digest
		if !manifest.Single() || result.Graphs[digest.String()] == "" {
			return fmt.Errorf("%s is none of the graphs that were tested: its SHA-256 is %v", path, digest)
		}
	}
	names := slices.Sorted(maps.Values(result.Graphs))
	if err := tell(stdout,
		fmt.Sprintf("%s: %s, %s: %d passed, %d refused by their runtime, %d failed; "+
			"signed by %s", strings.Join(names, ", "), result.Outcome,
			display.Count(len(result.Passed)+len(result.Warned)+len(result.Failed), "test"),
			len(result.Passed), len(result.Warned), len(result.Failed), by)); err != nil {
		return err
	}
	if len(result.Failed) > 0 {
		return fmt.Errorf("%s: failed: %s", o.tests, strings.Join(result.Failed, "; "))
	}
	return nil
}

func tell(stdout io.Writer, text string) error {
	if _, err := fmt.Fprintln(stdout, display.Printable(text)); err != nil {
		return fmt.Errorf("print what was found: %w", err)
	}
	return nil
}
