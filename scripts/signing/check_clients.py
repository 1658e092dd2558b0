"""Has model-signing verify what sign signed, and verify what model-signing signed; holds a bill of materials against
CycloneDX's schema. See check-clients."""

import base64
import datetime
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import statement as intoto
from in_toto_attestation.v1 import statement_pb2
from google.protobuf import json_format

BIN = pathlib.Path(sys.argv[1]).resolve()
ROOT = pathlib.Path.cwd()
GRAPHS = ("e1.onnx", "e2.onnx")


def check(what, holds, said=""):
    """Ends the program where something does not hold."""
    if not holds:
        sys.exit(f"check-clients: {what}: no\n{said}")
    print(f"ok  {what}")


def run(what, code, words, command, folder):
    """Runs a program, which must end so and say so."""
    done = subprocess.run([str(c) for c in command], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check(what, (done.returncode == 0) == (code == 0) and words in done.stdout, done.stdout)


def python(*words):
    return [sys.executable, "-m", "model_signing", *words]


def pem(path, *certificates):
    path.write_bytes(b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates))
    return path


def certificate(key, name, issuer, issuer_key, authority):
    """A certificate of a key, by an issuer."""
    first = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    usage = dict(content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
                 crl_sign=authority, encipher_only=False, decipher_only=False)
    builder = (x509.CertificateBuilder().subject_name(name).issuer_name(issuer or name).public_key(key.public_key())
               .serial_number(x509.random_serial_number()).not_valid_before(first)
               .not_valid_after(first + datetime.timedelta(days=3650))
               .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
               .add_extension(x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, **usage), critical=True))
    return builder.sign(issuer_key, hashes.SHA256())


def flip(path, at):
    """Changes one bit."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(bytes(content))


def signers(folder):
    """What the other signs and verifies, each as (name, sign, verify): a key of ours, a key of theirs, certificates."""
    run("sign -new-key", 0, "key.pub", [BIN / "sign", "-new-key", "key.pem"], folder)
    theirs = ec.generate_private_key(ec.SECP256R1())
    (folder / "sec1.pem").write_bytes(theirs.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()))
    (folder / "sec1.pub").write_bytes(theirs.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    root_key, between_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = certificate(root_key, "root", None, root_key, True)
    between = certificate(between_key, "between", root.subject, root_key, True)
    own = certificate(theirs, "signer", between.subject, between_key, False)
    pem(folder / "root.pem", root)
    pem(folder / "between.pem", between)
    pem(folder / "own.pem", own)
    pem(folder / "chain.pem", own, between)
    for name in ("key", "sec1"):
        yield (name, ["-key", f"{name}.pem"], ["-key", f"{name}.pub"],
               ["key", "--private_key", f"{name}.pem"], ["key", "--public_key", f"{name}.pub"])
    yield ("certificates", ["-key", "sec1.pem", "-certificate", "chain.pem"], ["-certificates", "root.pem"],
           ["certificate", "--private_key", "sec1.pem", "--signing_certificate", "own.pem", "--certificate_chain", "between.pem"],
           ["certificate", "--certificate_chain", "root.pem"])


def models(folder):
    """A file, and a folder whose names sort otherwise as texts than folder by folder."""
    one = folder / "e1.onnx"
    shutil.copy(ROOT / "graphs" / "e1.onnx", one)
    several = folder / "several"
    (several / "a" / "b").mkdir(parents=True)
    (several / ".git").mkdir()
    shutil.copy(ROOT / "graphs" / "e2.onnx", several / "mine.onnx")
    for name in ("a.txt", "a/b/weights.bin", "a b", "é", ".git/HEAD", ".gitignore"):
        (several / name).write_bytes(name.encode())
    (several / "empty").touch()
    return (one, one), (several, several / "a" / "b" / "weights.bin")


def both_ways(folder):
    for name, sign, verify, their_sign, their_verify in list(signers(folder)):
        for model, part in models(folder):
            kind = f"{model.name} by {name}"
            signature = model / "model.sig" if model.is_dir() else folder / "e1.onnx.sig"
            ours = [BIN / "verify", *verify, model]
            other = python("verify", *their_verify, "--signature", signature, model)
            run(f"sign {kind}", 0, "wrote", [BIN / "sign", *sign, model], folder)
            run(f"model-signing verifies it: {kind}", 0, "Verification succeeded", other, folder)
            flip(part, 1)
            run(f"model-signing refuses one bit: {kind}", 1, "mismatch", other, folder)
            run(f"verify refuses one bit: {kind}", 1, "not what was signed", ours, folder)
            flip(part, 1)
            signature.unlink()
            run(f"model-signing signs {kind}", 0, "Signing succeeded",
                python("sign", *their_sign, "--signature", signature, model), folder)
            run(f"verify verifies it: {kind}", 0, "verified", ours, folder)
            flip(part, 1)
            run(f"verify refuses one bit of theirs: {kind}", 1, "not what was signed", ours, folder)
            signature.unlink()
        shutil.rmtree(folder / "several")


def test_results(folder):
    """The test result is a statement as in-toto's own packages read it, signed over DSSE's encoding."""
    file = folder / "tests.sig"
    run("sign -test-results", 0, "PASSED", [BIN / "sign", "-key", folder / "key.pem", "-test-results", "docs/conformance.json", "-o", file,
                                            *[f"graphs/{g}" for g in GRAPHS]], ROOT)
    run("verify -test-results", 0, "PASSED", [BIN / "verify", "-key", folder / "key.pub", "-test-results", file,
                                              *[f"graphs/{g}" for g in GRAPHS]], ROOT)
    envelope = json.loads(file.read_text())["dsseEnvelope"]
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"]
    key = serialization.load_pem_public_key((folder / "key.pub").read_bytes())
    key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), b"DSSEv1 %d %s %d %s" % (
        len(kind), kind.encode(), len(payload), payload), ec.ECDSA(hashes.SHA256()))
    statement = json_format.Parse(payload, statement_pb2.Statement())
    intoto.Statement.copy_from_pb(statement).validate()
    result = json_format.ParseDict(json_format.MessageToDict(statement.predicate), test_result_pb2.TestResult())
    check(f"in-toto reads the test result: {result.result}, {len(result.passed_tests)} passed",
          result.result == "PASSED")


def bills(folder):
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    for model in (*(f"graphs/{g}" for g in GRAPHS), "infer/testdata/small.onnx", "infer/testdata/color32.onnx"):
        file = folder / "bill.cdx.json"
        run(f"sbom {model}", 0, "", [BIN / "sbom", "-o", file, model], ROOT)
        errors = validator.validate_str(file.read_text())
        check(f"CycloneDX 1.6 has this schema: {model}", errors is None, errors)
        bill = json.loads(file.read_text())
        check(f"it is a model's, with its card: {model}", bill["specVersion"] == "1.6" and
              bill["metadata"]["component"]["type"] == "machine-learning-model" and "modelCard" in bill["metadata"]["component"])
    broken = json.loads(file.read_text())
    broken["components"] = [{"type": "no such thing"}]
    check("the validator tells a bill that is none", validator.validate_str(json.dumps(broken)) is not None)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name).resolve()
        both_ways(folder)
        test_results(folder)
        bills(folder)
    print("check-clients: all as it should be")


main()
