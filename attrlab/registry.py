"""Methods are found by registered name, by `package.module:object`, or by `path/file.py:object`; all three work everywhere.

Other packages bring theirs through the entry-point group `attrlab.methods`: each entry point is a `Method`, or a plain
function, which is then known under the entry point's name.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from attrlab.claims import Claim, claims_of
from attrlab.errors import InvalidInput, UnknownName, Unloadable
from attrlab.method import Method

ENTRY_POINTS = "attrlab.methods"

_METHODS: dict[str, Method] = {}
_BROKEN: dict[str, str] = {}  # entry points of other packages that do not load, with the reason
_BESIDE: set[str] = set()  # modules that files brought along from their own folders
_loaded_entry_points = False


def register_method(method: Method) -> Method:
    """Make `method` known under its name, and return it.

    Raises:
        InvalidInput: if it is not a `Method`, or the name is taken.
    """
    if not isinstance(method, Method):
        raise InvalidInput(f"register_method takes a Method; write Method(name=..., attribute={method!r}) (got {type(method).__name__})")
    if method.name in _METHODS:
        raise InvalidInput(f"a method named {method.name!r} is registered already; choose another name (got {method.attribute!r})")
    _METHODS[method.name] = method
    return method


def registered() -> tuple[str, ...]:
    """The names that are registered so far; nothing is loaded."""
    return tuple(_METHODS)


def method_names(*, peers: bool = True) -> tuple[str, ...]:
    """The names of all registered methods, entry points of other packages included, controls last; without `peers` none that is one."""
    _load_all()
    found = (name for name, method in _METHODS.items() if peers or not method.peer)
    return tuple(sorted(found, key=lambda name: _METHODS[name].control))


def find_method(name: str, *, claims: Iterable[str] = ()) -> Method:
    """Find the method that `name` names; parameters may follow, as in `integrated_gradients(n_steps=500)`.

    `claims` are names of axioms that the method is additionally held to.

    Raises:
        UnknownName: if no method is registered under that name; the nearest are suggested.
        Unloadable: if a file or module cannot be imported, or does not hold the object.
        InvalidInput: if parameters are not literals, or the method has none of that name.
    """
    text, parameters = _split_parameters(name)
    method = _from_source(text) if ":" in text else _registered(text)
    if parameters:
        method = replace(method.with_parameters(**parameters), name=name)
    if name != method.name:
        method = replace(method, source=name)
    extra = tuple(claims)
    return replace(method, claims=_merge(method.claims, claims_of(None, extra))) if extra else method


def as_method(value: object, *, name: str) -> Method:
    """Read a `Method`, or a plain function whose claims stand in its attribute `claims`, as a method.

    Raises:
        InvalidInput: if it is neither.
    """
    if isinstance(value, Method):
        return replace(value, claims=claims_of(value))
    if callable(value) and not isinstance(value, type):
        return Method(name=name, attribute=value, claims=claims_of(value), reference=(getattr(value, "__doc__", None) or "").strip())
    raise InvalidInput(
        f"a method is a function attribute(model, inputs, *, target, ...) or a Method (got {type(value).__name__} for {name!r})"
    )


def _registered(name: str) -> Method:
    _load_all()
    if name in _METHODS:
        return _METHODS[name]
    if name in _BROKEN:
        raise Unloadable(_BROKEN[name])
    near = difflib.get_close_matches(name, _METHODS, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(repr(n) for n in near)}?" if near else f"`attrlab list methods` lists the {len(_METHODS)} there are."
    raise UnknownName(f"there is no method {name!r}. {hint} One of your own is named as package.module:object or path/file.py:object")


def _from_source(text: str) -> Method:
    place, _, attribute = text.rpartition(":")
    module = _load_file(Path(place)) if place.endswith(".py") else _import(place)
    value: Any = module
    for part in attribute.split("."):
        if not hasattr(value, part):
            near = difflib.get_close_matches(part, dir(value), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise Unloadable(f"{place} has no object {attribute!r}{hint} (got {text!r})")
        value = getattr(value, part)
    return as_method(value, name=attribute)


def _load_file(path: Path) -> ModuleType:
    """Import a file as a module of its own, with its folder importable while it is; one file is one module, however often it is named."""
    if not path.is_file():
        raise Unloadable(f"there is no file {str(path)!r}, from {str(Path.cwd())!r} (got {str(path)!r})")
    path = path.resolve()
    name = f"attrlab_file_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise Unloadable(f"{path} is not a Python file (got {path.name!r})")
    module = importlib.util.module_from_spec(spec)
    _forget_namesakes(path.parent)
    before = set(sys.modules)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(name, None)
        if isinstance(error, (Exception, SystemExit)):
            raise Unloadable(f"{path.name} does not import: {_reason(error)}") from error
        raise
    finally:
        sys.path.remove(str(path.parent))
        _BESIDE.update(other for other in set(sys.modules) - before if _lies_in(path.parent, other))
    return module


def _forget_namesakes(folder: Path) -> None:
    """Let two files in two folders each have a module of one name beside them, such as model.py, and each get its own."""
    for top in {name for name in _BESIDE if _lies_in(folder, name) and name in sys.modules}:
        if Path(str(getattr(sys.modules[top], "__file__", None))) not in (folder / f"{top}.py", folder / top / "__init__.py"):
            for name in [name for name in sys.modules if name == top or name.startswith(f"{top}.")]:
                del sys.modules[name]


def _lies_in(folder: Path, name: str) -> bool:
    return (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()


def _import(place: str) -> ModuleType:
    try:
        return importlib.import_module(place)
    except (Exception, SystemExit) as error:
        hint = ""
        if isinstance(error, ModuleNotFoundError):
            hint = "; is its package installed? A module of the current folder is found by `python -m pytest`, a path/file.py:object always"
        raise Unloadable(f"{place} does not import: {_reason(error)}{hint} (got {place!r})") from error


def _reason(error: BaseException) -> str:
    """An error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _split_parameters(name: str) -> tuple[str, dict[str, Any]]:
    match = re.fullmatch(r"(?P<name>(?:.*?\.py:)?[^()]+)\((?P<parameters>.*)\)", name.strip(), re.DOTALL)
    if match is None:
        return name.strip(), {}
    try:
        node = ast.parse(f"f({match['parameters']})", mode="eval").body
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.args:
            raise ValueError("parameters are named")
        parameters = {k.arg: ast.literal_eval(k.value) for k in node.keywords if k.arg is not None}
        if len(parameters) != len(node.keywords):
            raise ValueError("parameters are named, each once")
        return match["name"].strip(), parameters
    except (SyntaxError, ValueError, TypeError) as error:
        raise InvalidInput(
            f"parameters are written as name=value with plain values, such as integrated_gradients(n_steps=500) (got {name!r})"
        ) from error


def _merge(claims: tuple[Claim, ...], extra: tuple[Claim, ...]) -> tuple[Claim, ...]:
    """A claim asked for replaces what the method says of that axiom unconditionally."""
    asked = {claim.axiom for claim in extra}
    return tuple(claim for claim in claims if claim.axiom not in asked) + extra


def _load_all() -> None:
    """Import the laboratory's own methods, then those of other packages; once."""
    global _loaded_entry_points
    importlib.import_module("attrlab.methods")
    if _loaded_entry_points:
        return
    _loaded_entry_points = True
    for point in metadata.entry_points(group=ENTRY_POINTS):
        try:
            value = point.load()
            register_method(replace(as_method(value, name=point.name), name=point.name))
        except Exception as error:
            _BROKEN[point.name] = f"the entry point {point.name!r} ({point.value}) does not load: {_reason(error)}"
