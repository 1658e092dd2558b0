// Package sign is the command sign: models signed in the format of OpenSSF's model signing, keys
// made for it, and the conformance table attested.
package sign

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"slipway/internal/cli"
	"slipway/internal/display"
	"slipway/provenance"
	"slipway/provenance/testresult"
)

const usage = `sign signs models, so that whoever has your public key can tell that they are yours.

  sign -new-key key.pem                               # once: key.pem for you, key.pub for others
  sign -key key.pem mine.onnx                         # writes mine.onnx.sig
  sign -key key.pem mine.onnx other.onnx folder/      # a folder's signature is folder/model.sig
  sign -key key.pem -test-results docs/conformance.json -o e1.tests.sig graphs/e1.onnx

Whoever has the key can sign in your name: nobody else should read it. The signature is a file of
its own, in the format of OpenSSF's model signing: a sigstore bundle, which the Python package
model-signing verifies as well. In a folder, all files are signed but git's and the signature; a
model whose tensors lie in files of their own is signed as its folder.

-test-results signs what the conformance table says of the named graphs, or of all: an in-toto test
result. verify -test-results reads it.

Keys are ECDSA keys on the curve P-256 in PEM, not encrypted.

Exit status: 0 all is signed; 1 a failure; 2 wrong usage.

Flags:
`

type options struct {
	key, newKey string
	certificate string
	tests       string
	output      string
	version     bool
	operands    []string
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
	if code, done := cli.Parsed("sign", err, err == nil && o.version, stdout, stderr); done {
		return code
	}
	if err := o.run(ctx, stdout, stderr); err != nil {
		return cli.Fail(stderr, "sign", err)
	}
	return cli.ExitOK
}

func parse(args []string, stdout io.Writer) (*options, error) {
	o := &options{}
	flags := cli.NewFlagSet("sign", usage, stdout)
	flags.StringVar(&o.key, "key", "", "PEM `file` of the private key")
	flags.StringVar(&o.newKey, "new-key", "",
		"make a key: the private one in this `file`, the public one beside it; neither may be there yet")
	flags.StringVar(&o.certificate, "certificate", "",
		"PEM `file` of the key's certificate, and of those above it: verified by certificates then")
	flags.StringVar(&o.tests, "test-results", "",
		"sign what this `file` says, docs/conformance.json, of the named graphs or of all; needs -o")
	flags.StringVar(&o.output, "o", "", "`file` of the signature, of one model or of test results")
	flags.BoolVar(&o.version, "version", false, "print the version")
	var err error
	o.operands, err = cli.ParseOperands(flags, args, cli.Words{cli.FileNames, cli.FolderNames})
	if err != nil || o.version {
		return o, err
	}
	given := cli.Given(flags)
	if err := cli.CheckNamed(given, map[string]string{"key": o.key, "new-key": o.newKey, "o": o.output,
		"certificate": o.certificate, "test-results": o.tests}); err != nil {
		return nil, err
	}
	switch {
	case o.newKey != "" && (len(given) > 1 || len(o.operands) > 0):
		return nil, errors.New("-new-key makes a key and does nothing else: sign with it afterwards")
	case o.newKey != "":
	case o.key == "":
		return nil,
			errors.New("the key is missing: sign -key key.pem MODEL; sign -new-key key.pem makes one")
	case o.tests != "" && o.output == "":
		return nil, errors.New("-test-results needs -o, the file to write")
	case o.tests == "" && len(o.operands) == 0:
		return nil, errors.New("there is nothing to sign: name a model, or the folder of one")
	case o.tests == "" && o.output != "" && len(o.operands) > 1:
		return nil, fmt.Errorf("-o is of one model, and %d are named", len(o.operands))
	}
	return o, nil
}

func (o *options) run(ctx context.Context, stdout, stderr io.Writer) error {
	if o.newKey != "" {
		return o.makeKey(stdout)
	}
	signer, err := provenance.ReadSigner(o.key)
	if err != nil {
		return err
	}
	if info, err := os.Stat(o.key); err == nil && info.Mode()&0o077 != 0 && runtime.GOOS != "windows" {
		// It is what was asked for, and known too late to be refused: it may have been read by now.
		fmt.Fprintf(stderr, "note: others on this machine may read %s, and sign as you do: %s\n",
			display.Printable(o.key), display.Printable(cli.ShellLine("chmod", "600", o.key)))
	}
	by := "the key " + signer.Verifier().Fingerprint()
	if o.certificate != "" {
		if signer, err = signer.WithCertificates(o.certificate); err != nil {
			return fmt.Errorf("-certificate: %w", err)
		}
		by = "the certificate of " + by
	}
	if o.tests != "" {
		return o.attest(ctx, signer, by, stdout)
	}
	for _, path := range o.operands {
		signature := o.output
		if signature == "" {
			if signature, err = provenance.SignatureFile(path); err != nil {
				return err
			}
		}
		if err := signer.SignModel(ctx, path, signature); err != nil {
			return err
		}
		if err := tell(stdout, "wrote %s: %s signed by %s", signature, path, by); err != nil {
			return err
		}
	}
	return nil
}

func (o *options) makeKey(stdout io.Writer) error {
	if err := provenance.NewKey(o.newKey); err != nil {
		return err
	}
	public := provenance.PublicKeyFile(o.newKey)
	verifier, err := provenance.ReadVerifier(public)
	if err != nil {
		return err
	}
	return tell(stdout,
		"wrote %s, which nobody else should read, and %s for those who verify: the key %s",
		o.newKey, public, verifier.Fingerprint())
}

// attest signs what the conformance table says.
func (o *options) attest(ctx context.Context, signer *provenance.Signer, by string,
	stdout io.Writer) error {
	table, err := os.ReadFile(o.tests)
	if err != nil {
		return fmt.Errorf("-test-results: %w", err)
	}
	digests := make([]string, len(o.operands))
	for i, path := range o.operands {
		manifest, err := provenance.Hash(ctx, path)
		if err != nil {
			return err
		}
		if !manifest.Single() {
			return fmt.Errorf("%s is a folder; name the graphs that were tested", path)
		}
		digests[i] = hex.EncodeToString(manifest.Files[0].Digest[:])
	}
	statement, err := testresult.Of(table, digests...)
	if err != nil {
		return fmt.Errorf("%s: %w", o.tests, err)
	}
	result, err := testresult.Read(statement)
	if err != nil {
		return fmt.Errorf("%s: %w", o.tests, err)
	}
	bundle, err := signer.Sign(statement)
	if err != nil {
		return err
	}
	if err := signer.WriteBundle(o.output, bundle); err != nil {
		return err
	}
	return tell(stdout, "wrote %s: %s, %s, signed by %s", o.output, result.Outcome,
		display.Count(len(result.Passed)+len(result.Warned)+len(result.Failed), "test"), by)
}

func tell(stdout io.Writer, format string, values ...any) error {
	_, err := fmt.Fprintln(stdout, display.Printable(fmt.Sprintf(format, values...)))
	if err != nil {
		return fmt.Errorf("print what was done: %w", err)
	}
	return nil
}
