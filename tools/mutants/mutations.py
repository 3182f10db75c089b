"""The mutants of a module: its source with one thing changed that a test should notice.

The changes are those of mutmut's mutators, which mutmut itself applies inside functions only, and a few that it does
not make: an operand of `and` and `or` left out, a check that never or always holds, a member of a list left out, a call
for its effect left out. Left alone is what no test should pin: prose, annotations, decorators and imports.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

import libcst as cst
import libcst.matchers as m
from libcst.metadata import MetadataWrapper, WhitespaceInclusivePositionProvider
from mutmut.mutation.mutators import mutation_operators

_PROSE = re.compile(r"\w,? \w")
_LEFT_ALONE = (
    m.Annotation()
    | m.Decorator()
    | m.Import()
    | m.ImportFrom()
    | m.If(test=m.Name("TYPE_CHECKING"))
    | m.Assign(value=m.Call(func=m.Name("auto")))  # whose value is nobody's business
)
_MUTATORS = [(kind, mutator) for kind, mutator in mutation_operators if kind is not cst.Match]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed module."""

    function: str
    """The qualified name of the outermost function that holds the change; "" where it is made at import."""
    lines: range
    """The changed lines, as they are numbered in the original."""
    before: str
    """The changed lines, white space aside."""
    after: str
    source: str


def mutants_of(source: str) -> list[Mutant]:
    """Return every mutant of a module, in the order of the source."""
    wrapper = MetadataWrapper(cst.parse_module(source))
    visitor = _Visitor(wrapper.module)
    wrapper.visit(visitor)
    original = ast.dump(ast.parse(source))
    found: dict[str, Mutant] = {}
    for change in visitor.changes:
        mutant = _spliced(source, *change)
        try:
            tree = ast.parse(mutant.source)
        except SyntaxError:
            continue
        if ast.dump(tree) != original:
            found.setdefault(mutant.source, mutant)
    return list(found.values())


def _spliced(source: str, function: str, start: tuple[int, int], end: tuple[int, int], text: str) -> Mutant:
    """Put `text` in place of what stands between two positions (line from 1, column from 0)."""
    lines = source.splitlines(keepends=True)
    offsets = [0, *accumulate(map(len, lines))]
    begin, stop = offsets[start[0] - 1] + start[1], offsets[end[0] - 1] + end[1]
    first, last = offsets[start[0] - 1], offsets[end[0]]
    return Mutant(
        function,
        range(start[0], end[0] + 1),
        " ".join(source[first:last].split()),
        " ".join((source[first:begin] + text + source[stop:last]).split()),
        source[:begin] + text + source[stop:],
    )


class _Visitor(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (WhitespaceInclusivePositionProvider,)

    def __init__(self, module: cst.Module) -> None:
        super().__init__()
        self.changes: list[tuple[str, tuple[int, int], tuple[int, int], str]] = []
        self._module = module
        self._names: list[str] = []
        self._function = ""
        self._outermost: cst.CSTNode | None = None

    def on_visit(self, node: cst.CSTNode) -> bool:
        if _is_prose(node) or m.matches(node, _LEFT_ALONE):
            return False
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            self._names.append(node.name.value)
        for changed, text in self._changed(node):
            where = self.get_metadata(WhitespaceInclusivePositionProvider, changed)
            begin, end = (where.start.line, where.start.column), (where.end.line, where.end.column)
            self.changes.append((self._function, begin, end, text))
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, cst.FunctionDef | cst.ClassDef):
            self._names.pop()

    def on_visit_attribute(self, node: cst.CSTNode, attribute: str) -> None:
        """Note that the body of a function begins; its defaults are evaluated at import."""
        if attribute == "body" and isinstance(node, cst.FunctionDef) and self._outermost is None:
            self._outermost, self._function = node, ".".join(self._names)

    def on_leave_attribute(self, node: cst.CSTNode, attribute: str) -> None:
        """Note that the body of a function ends."""
        if attribute == "body" and node is self._outermost:
            self._outermost, self._function = None, ""

    def _changed(self, node: cst.CSTNode) -> Iterator[tuple[cst.CSTNode, str]]:
        """Return what could stand in place of a node, or of a part of it."""
        for kind, mutator in _MUTATORS:
            if isinstance(node, kind):
                yield from ((node, self._code(changed)) for changed in mutator(node) if not _drops_prose(node, changed))
        match node:
            case cst.BooleanOperation():
                yield from ((node, f"({self._code(operand)})") for operand in (node.left, node.right))
            case cst.If() | cst.CompIf():
                yield from ((node.test, constant) for constant in ("(False)", "(True)"))
            case cst.MatchCase():
                yield node.pattern, f"{self._code(node.pattern)} if False"
            case cst.Integer():
                yield node, str(node.evaluated_value - 1)
            case cst.Expr(value=cst.Call() | cst.Await()):
                yield node, "pass"
            case cst.List() | cst.Dict() | cst.Set() | cst.Tuple(lpar=[_, *_]) if len(node.elements) > 1:
                for left_out in node.elements:
                    *kept, last = (element for element in node.elements if element is not left_out)
                    last = last.with_changes(comma=cst.MaybeSentinel.DEFAULT)
                    yield node, self._code(node.with_changes(elements=[*kept, last]))

    def _code(self, node: cst.CSTNode) -> str:
        return self._module.code_for_node(node)


def _is_prose(node: cst.CSTNode) -> bool:
    match node:
        case cst.Expr(value=cst.SimpleString() | cst.ConcatenatedString()):
            return True  # a docstring
        case cst.SimpleString():
            return bool(_PROSE.search(node.value))
        case cst.FormattedString():
            return any(isinstance(part, cst.FormattedStringText) and _PROSE.search(part.value) for part in node.parts)
        case cst.ConcatenatedString():
            return _is_prose(node.left) or _is_prose(node.right)
    return False


def _drops_prose(node: cst.CSTNode, changed: cst.CSTNode) -> bool:
    """Say whether a change only takes away what an error says."""
    match node, changed:
        case cst.Call(), cst.Call():
            return any(_is_prose(argument.value) for argument in node.args if argument not in changed.args)
        case cst.Assign() | cst.AnnAssign(), _:
            return node.value is not None and _is_prose(node.value)
    return False
