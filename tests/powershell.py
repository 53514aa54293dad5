"""PowerShell text read by a parser that others keep: what a script calls, and with which values. Nothing is run."""

from __future__ import annotations

import re
from collections.abc import Iterator

import tree_sitter_powershell
from msgspec import Struct
from tree_sitter import Language, Node, Parser

_PARSER = Parser(Language(tree_sitter_powershell.language()))
_ATOMS = ("verbatim_string_characters", "integer_literal", "command")


class Call(Struct, frozen=True):
    """A command with its arguments, literals evaluated."""

    name: str
    arguments: tuple[str, ...]


def parsed(text: str) -> Node:
    """Return the tree of a script; ValueError where something in it is no PowerShell."""
    tree = _PARSER.parse(text.encode())
    if tree.root_node.has_error:
        wrong = next(node for node in nodes(tree.root_node) if node.is_error or node.is_missing)
        raise ValueError(f"{wrong.start_point}: {text_of(wrong)[:200]!r}")
    return tree.root_node


def nodes(node: Node, *types: str) -> Iterator[Node]:
    """Yield a node and all below it, of some types or of all."""
    if not types or node.type in types:
        yield node
    for child in node.children:
        yield from nodes(child, *types)


def text_of(node: Node) -> str:
    return (node.text or b"").decode()


def calls(tree: Node, wanted: str) -> list[Call]:
    """Return the commands whose whole name fits the pattern `wanted`, in order; their arguments are literals."""
    return [
        Call(name, tuple(value_of(argument) for argument in arguments_of(node)))
        for node in nodes(tree, "command")
        if re.fullmatch(wanted, name := name_of(node))
    ]


def methods(tree: Node) -> set[tuple[str, int]]:
    """Return each method that is called, `[Type]::Name` or `.Name`, with how many arguments."""
    return {_method(node) for node in nodes(tree, "invokation_expression")}


def _method(node: Node) -> tuple[str, int]:
    owner = text_of(node.children[0]) + "::" if node.children[0].type == "type_literal" else "."
    member = next(child for child in node.children if child.type == "member_name")
    arguments = next(child for child in node.children if child.type == "argument_list")
    listed = (one for child in arguments.children for one in child.children if one.type == "argument_expression")
    return owner + text_of(member), sum(1 for _one in listed)


def value_of(node: Node) -> str:
    """Return what an expression of string literals, `U` and `+` gives; ValueError for any other."""
    atoms = list(_atoms(node))
    rest = text_of(node)
    for atom in atoms:
        rest = rest.replace(text_of(atom), "", 1)
    if rest.strip("()+ ") != "":
        raise ValueError(text_of(node))
    units = b"".join(_value_of_atom(atom).encode("utf-16-le", "surrogatepass") for atom in atoms)
    return units.decode("utf-16-le", "surrogatepass")


def _atoms(node: Node) -> Iterator[Node]:
    if node.type in _ATOMS:
        yield node
        return
    for child in node.children:
        yield from _atoms(child)


def _value_of_atom(atom: Node) -> str:
    if atom.type == "integer_literal":
        return text_of(atom)
    if atom.type == "command":
        [argument] = arguments_of(atom)
        if name_of(atom) != "U":
            raise ValueError(text_of(atom))
        return bytes.fromhex(value_of(argument)).decode("utf-16-be", "surrogatepass")
    return text_of(atom)[1:-1].replace("''", "'")


def name_of(command: Node) -> str:
    return text_of(next(nodes(command, "command_name")))


def arguments_of(command: Node) -> list[Node]:
    elements = [child for child in command.children if child.type == "command_elements"]
    return [one for node in elements for one in node.children if one.type != "command_argument_sep"]
