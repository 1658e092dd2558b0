"""Tries mutants that gremlins did not, or that survived, one after the other and with the same operators.

Go's coverage begins behind the colon of a case, so that gremlins takes its condition for not covered and never tries it; and gremlins
cannot be asked for single mutants, when a test was written for them."""

import subprocess
import time

TIMES = 15  # the time limit, by the time without a mutation

NEGATION = {"==": "!=", "!=": "==", "<=": ">", ">=": "<", "<": ">=", ">": "<="}
BOUNDARY = {"<=": "<", ">=": ">", "<": "<=", ">": ">="}
ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*", "%": "*"}
OPERATORS = {
    "CONDITIONALS_NEGATION": NEGATION, "CONDITIONALS_BOUNDARY": BOUNDARY, "ARITHMETIC_BASE": ARITHMETIC, "INVERT_LOGICAL": {"&&": "||", "||": "&&"},
    "INVERT_NEGATIVES": {"-": "+"}, "INCREMENT_DECREMENT": {"++": "--", "--": "++"},
    "INVERT_ASSIGNMENTS": {"+=": "-=", "-=": "+=", "*=": "/=", "/=": "*="},
}


def of_case(text, line, status):
    """Whether gremlins did not try the mutant for the reason that it is of a case."""
    return status == "NOT COVERED" and text.splitlines()[line - 1].lstrip().startswith("case ")


def mutated(text, line, column, kind):
    """The text with the operator at that place exchanged, None if there is none that is known. Columns are bytes."""
    lines = text.encode().split(b"\n")
    code, at = lines[line - 1], column - 1
    for operator, other in OPERATORS.get(kind, {}).items():  # those of two characters come first
        if code[at:].startswith(operator.encode()):
            lines[line - 1] = code[:at] + other.encode() + code[at + len(operator):]
            return b"\n".join(lines).decode()
    return None


def retry(module, file, mutants, environment, wanted):
    """The mutants (line, column, type, status), with what became of those for which wanted(text, line, status) holds. The file is left as it
    was."""
    path, package = module / file, "./" + file.rpartition("/")[0]
    text, limit, tried = path.read_text(), None, []

    def status():
        words = ["go", "test", "-failfast"] + ([f"-timeout={limit + 2:.0f}s"] if limit else []) + [package]  # ends what go has started
        try:
            done = subprocess.run(words, cwd=module, env=environment, capture_output=True, timeout=limit)
        except subprocess.TimeoutExpired:
            return "TIMED OUT"
        return "KILLED" if done.returncode else "LIVED"

    try:
        for line, column, kind, was in mutants:
            other = mutated(text, line, column, kind) if wanted(text, line, was) else None
            if other is not None:
                if limit is None:
                    status()  # builds what the mutants share
                    began = time.monotonic()
                    if status() != "LIVED":
                        raise RuntimeError(f"{file}: the package's tests fail without a mutation")
                    limit = TIMES * (time.monotonic() - began)
                path.write_text(other)
                was = status()
            tried.append((line, column, kind, was))
    finally:
        path.write_text(text)
    return tried
