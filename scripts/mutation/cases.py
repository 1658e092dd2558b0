"""Mutants of the conditions behind case. Go's coverage begins behind the colon, so that gremlins takes every one of them for not covered
and tries none; here they are tried, with the same operators, one after the other."""

import subprocess
import time

NOT_COVERED, TIMES = "NOT COVERED", 15

NEGATION = {"==": "!=", "!=": "==", "<=": ">", ">=": "<", "<": ">=", ">": "<="}
BOUNDARY = {"<=": "<", ">=": ">", "<": "<=", ">": ">="}
ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*", "%": "*"}
LOGICAL = {"&&": "||", "||": "&&"}
OPERATORS = {"CONDITIONALS_NEGATION": NEGATION, "CONDITIONALS_BOUNDARY": BOUNDARY, "ARITHMETIC_BASE": ARITHMETIC, "INVERT_LOGICAL": LOGICAL,
             "INVERT_NEGATIVES": {"-": "+"}}


def mutated(text, line, column, kind):
    """The text with the operator at that place exchanged, None if it is not of a case, or none that is known. Columns are bytes."""
    lines = text.encode().split(b"\n")
    code, at = lines[line - 1], column - 1
    if not code.lstrip().startswith(b"case "):
        return None
    for operator, other in OPERATORS.get(kind, {}).items():  # those of two characters come first
        if code[at:].startswith(operator.encode()):
            lines[line - 1] = code[:at] + other.encode() + code[at + len(operator):]
            return b"\n".join(lines).decode()
    return None


def try_all(module, file, mutants, environment):
    """The mutants, with what became of those of a case. The file is left as it was."""
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
            other = mutated(text, line, column, kind) if was == NOT_COVERED else None
            if other is not None:
                if limit is None:
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
