"""The rules of the house as small linters: each takes text and says what is wrong and what to do."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PRODUCT = ("ledger", "projections", "api", "benchmarks")
NOT_OURS = {"build", "dist", "__pycache__", "node_modules"}
HIDDEN_BUT_OURS = {".ci", ".gitignore", ".dockerignore"}
LINES_IN_FILE_MAX = 400
LINES_IN_FUNCTION_MAX = 60

# Where the pure side begins: what a command needs, what it decides, what an event changes. Whatever
# these modules import, and what that imports, is pure too.
PURE_ROOTS = ("commands", "events", "needs", "decider", "fold", "standing")
PURE_STANDARD_LIBRARY = frozenset(
    {
        *("__future__", "collections", "dataclasses", "enum", "types", "typing"),
        *("bisect", "contextlib", "functools", "heapq", "itertools", "operator"),
        *("calendar", "datetime", "zoneinfo"),
        *("hashlib", "math", "re", "string", "struct", "uuid", "zlib"),
    }
)

# In pieces, so that this file itself does not name them.
_FOREIGN = {
    "a package host": [
        *(".".join(("pypi", "org")), "python" + "hosted", ".".join(("crates", "io"))),
        *(".".join(("registry", "npmjs")), ".".join(("deb", "debian"))),
    ],
    "an index option": ["--" + "index-url", "--extra-" + "index-url", "--find" + "-links"],
    "a path of one machine": ["/" + "work" + "/", "/" + "root" + "/", "/" + "home" + "/"],
}

_SQL_VERB = re.compile(
    r"\s*(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\S+\s+SET\s|DELETE\s+FROM\s|WITH\s+\w+\s+AS\s|COPY\s+\S"
    r"|(CREATE|ALTER|DROP)\s+(TABLE|ROLE|DATABASE|SCHEMA|INDEX|UNIQUE|FUNCTION|VIEW|POLICY|TRIGGER)"
    r"|GRANT\s|REVOKE\s|TRUNCATE\s|LOCK\s+TABLE)"
)
_BARE_IGNORE = re.compile(r"#\s*(noqa|type:\s*ignore|pragma:|ruff:)")


def source_files(*folders: str, suffix: str = ".py") -> Iterator[Path]:
    """Files with a suffix below the folders, in order; of the whole repository without folders."""
    for top in folders or (".",):
        for path in sorted((ROOT / top).rglob(f"*{suffix}")):
            if path.is_file() and not ignored(path):
                yield path


def ignored(path: Path) -> bool:
    """True for what tools leave behind and no commit holds."""
    return any(
        part in NOT_OURS
        or part.endswith(".egg-info")
        or (part.startswith(".") and part not in HIDDEN_BUT_OURS)
        for part in path.relative_to(ROOT).parts
    )


def too_long(source: str) -> list[str]:
    """A file past 400 lines or a function past 60, without `# long: reason`.

    The reason stands on the function's `def` line, or on a line of its own in the file.
    """
    lines = source.splitlines()
    found = []
    if len(lines) > LINES_IN_FILE_MAX and not any(line.startswith("# long: ") for line in lines):
        found.append(f"{len(lines)} lines: split the file by concept, or say why not")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LINES_IN_FUNCTION_MAX and "# long: " not in lines[node.lineno - 1]:
                found.append(
                    f"line {node.lineno}: {node.name} has {length} lines: split it, "
                    "or say why on its def line with `# long: reason`"
                )
    return found


def impure_imports(source: str) -> list[str]:
    """What a pure module of ledger/ may not import: clocks, randomness, I/O, outer floors."""
    return [
        f"line {line}: imports {module}: the pure side is a function of its arguments; the region's "
        "today, the actor and ids arrive in the command, rows through needs()"
        for line, module in imported(source)
        if not is_pure(module)
    ]


def is_pure(module: str) -> bool:
    top, _, rest = module.partition(".")
    if top == "ledger":
        return (ROOT / "ledger" / f"{rest.partition('.')[0]}.py").exists()
    return top == "msgspec" or (top in sys.stdlib_module_names and top in PURE_STANDARD_LIBRARY)


def pure_modules() -> list[Path]:
    """The modules of ledger/ that the pure roots are made of."""
    waiting, found = list(PURE_ROOTS), set[Path]()
    while waiting:
        path = ROOT / "ledger" / f"{waiting.pop()}.py"
        if path.exists() and path not in found:
            found.add(path)
            names = (name for _, name in imported(path.read_text(encoding="utf-8")))
            waiting += [name.split(".")[1] for name in names if name.startswith("ledger.")]
    return sorted(found)


def imported(source: str) -> Iterator[tuple[int, str]]:
    """Line and full name of each module, or name of a module, imported."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def sql_in_python(source: str) -> list[str]:
    """SQL in a .py file of the product, glued or whole; psycopg's sql.SQL, for statements that take
    identifiers and no parameters, is let be."""
    found = []
    tree = ast.parse(source)
    let_be = {
        argument
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "sql.SQL"
        for argument in node.args
    }
    for node in ast.walk(tree):
        if node in let_be:
            continue
        if isinstance(node, ast.JoinedStr):
            first = node.values[0] if node.values else None
        else:
            first = node
        if isinstance(first, ast.Constant) and isinstance(first.value, str | bytes):
            text = first.value if isinstance(first.value, str) else first.value.decode("latin-1")
            if _SQL_VERB.match(text):
                found.append(
                    f"line {first.lineno}: SQL in Python: one quote in a payment's reference, glued "
                    "into it, is a hole; name a block in a .sql file and pass parameters"
                )
    return sorted(set(found))


def bare_ignores(source: str) -> list[str]:
    """A switched-off check without the reason beside it."""
    found = []
    for number, line in enumerate(source.splitlines(), start=1):
        switch = _BARE_IGNORE.search(line)
        if switch and "#" not in line[switch.end() :]:
            found.append(f"line {number}: say after a second # why {switch[0]!r} is needed")
    return found


def foreign(text: str) -> list[str]:
    """Package hosts, index options and paths of one machine, which no repository should name."""
    return [
        f"names {what}: {sign}"
        for what, signs in _FOREIGN.items()
        for sign in signs
        if sign in text
    ]


def claimless_tests(source: str) -> list[str]:
    """Tests whose docstring does not say what they prove."""
    return [
        f"line {node.lineno}: {node.name} has no docstring: say the claim that it proves"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]


def nameless_module(source: str) -> list[str]:
    """A module that does not open with what it is for."""
    return [] if ast.get_docstring(ast.parse(source)) else ["no sentence on what the module is for"]
