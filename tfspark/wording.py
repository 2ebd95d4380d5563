"""What Python and the Scala module say alike: one table, which the module gets as a resource."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

# A value that does not fit its type. The names are pydantic's; those of one text are in _ALIKE.
_VALUES = {
    "missing": "is missing",
    "extra_forbidden": "unknown key",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "date_type": "must be a date, YYYY-MM-DD",
    "dict_type": "must be a mapping",
    "list_type": "must be a list",
    "literal_error": "must be {expected}",
    "too_short": "must have a length of at least {min_length}",
    "too_long": "must have a length of at most {max_length}",
    "string_pattern_mismatch": "must match {pattern}",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "union_tag_not_found": "{discriminator} is missing",
    "union_tag_invalid": "{discriminator} must be one of {expected_tags}",
}
_ALIKE = {
    "string_too_short": "too_short",
    "tuple_type": "list_type",
    "model_type": "dict_type",
    "model_attributes_type": "dict_type",
    "int_parsing": "int_type",
    "int_from_float": "int_type",
    "float_parsing": "float_type",
    "bool_parsing": "bool_type",
    "date_parsing": "date_type",
    "date_from_datetime_parsing": "date_type",
    "date_from_datetime_inexact": "date_type",
}

TEXTS = {
    **_VALUES,
    # YAML
    "empty": "{where}:1: the file is empty",
    "not_utf8": "{where}:{line}: not UTF-8: save the file as UTF-8",
    "not_yaml": "{where}:{line}: not YAML: {problem}",
    "no_such_value": "{text} is not a valid {kind}",
    "no_tag": "the tag {tag} is not allowed",
    "no_text_key": "a key must be text",
    "no_character": "a character that YAML does not allow",
    "no_alias": "aliases such as *{name} are not allowed; write the value again",
    "too_deep": "more than {most} lists and mappings inside each other",
    "same_key": "{where}:{line}: two keys of one name: {key}",
    "at": "{where}: {path}: {said}",
    # Contracts
    "no_contract": "{path}: there is no such contract file; see schemas/",
    "same_column": "two columns of one name: {one} and {other}",
    "no_key": "no key: mark the column(s) that name a row with primaryKey: true",
    "no_regex": "'{pattern}' is not a regular expression",
    "logical_type": "{type} has the logical type {logical}, not {given}",
    "no_number": "minimum and maximum are for numbers, not {type}",
    "no_string": "pattern and lengths are for strings, not {type}",
    "no_pixels": "a uint8 tensor is raw binary, pixel by pixel, not {kind}",
    "no_array": "padValue is for arrays, not {kind}",
    "own_name": "names that start with _tfspark are kept for tfspark's own columns",
    "unknown_type": "unknown type '{type}'; known: {known}",
    "bad_decimal": "{type}: precision is 1 to 38, scale at most the precision",
    "no_tensor": (
        "column {name}: {type} fits no tensor without loss; name the narrowing: "
        "tensor: {{dtype: float64}}"
    ),
    # Settings
    "no_file": "{path}: there is no such configuration file",
    "no_mapping": "{path}:1: a configuration file is a mapping of settings",
    "unknown_setting": "unknown setting; --help lists all of them",
    "unknown_variable": "environment: {variable} is no setting; known: {known}",
    "no_json": "environment: {variable}: a list or mapping must be JSON",
    "no_date": "date: this job is for one day; give --date YYYY-MM-DD",
    # Sources and targets
    "part_of_delta": (
        "{path}: is a part of the Delta table {table}, whose files are not all of them its rows; "
        "name the table (and its days by source.day_column)"
    ),
    "target_source": (
        "{target}: is what is read ({source}), or lies inside or around it, and would destroy it; "
        "name another folder: {option}"
    ),
    "target_in_delta": (
        "{target}: lies in the folder of the Delta table {table}, which removes others' files; "
        "name another folder: {option}"
    ),
    "target_foreign": (
        "{target}: holds files of others ({file}); name a new folder or an empty one: {option}"
    ),
    "target_lost": (
        "{target}: would be a table of a catalog that ends with this job; name a folder "
        "(./{target}), or set spark.sql.catalogImplementation to hive"
    ),
    "target_file": "{target}: is a file; name a folder: {option}",
    "target_uri": (
        "{target}: Spark takes #, ? and % in a URI for others than Python does; write the path "
        "without file: {option}"
    ),
    # Files of ours
    "not_json": "{path} is not JSON: it was damaged or cut off",
    "not_ours": (
        "{path}: is not what tfspark wrote ({field} is missing or of another type): it was "
        "damaged; remove it if no job is running that wrote it"
    ),
    "not_manifest": "{path}: is no manifest of a model; register the model again",
    "other_format": (
        "{path}: format {format} is not known here (known: {known}); use the tfspark that wrote "
        "it, or a newer one"
    ),
    "lost_manifest": (
        "{path}: is not there, and the registry says that tfspark made this version; do not use "
        "this model; train and register it again"
    ),
    "other_manifest": (
        "{path}: is not the one that was registered (another sha256); do not use this model; "
        "train and register it again"
    ),
    "link_in_model": (
        "model {model}: {name} is a link, which may lead to any file; copy the folder with "
        "`cp -rL`, and use the copy"
    ),
    # Folders of a machine
    "open_folder": (
        "{folder}: is a link, or others own it or may write to it, so what is in it is not to be "
        "trusted; remove it, or name another folder in {variable}"
    ),
    "open_above": (
        "{above}: others own it or may write to it, so what is in {folder} is not to be trusted; "
        "change its owner or its mode, or name another folder in {variable}"
    ),
    # Models
    "no_saved_model": (
        "{where}: is no {file} as TensorFlow writes it: it was damaged, cut off or changed; export "
        "or copy it again"
    ),
    "no_graph": "{where}: holds no graph: it was damaged or cut off; copy it again",
    "second_form": (
        "model {folder}: {name} stands beside {file}, and only {file} is checked; remove {name}"
    ),
    "no_signature": (
        "model {folder}: has no signature {name} (there are: {names}); name one of these: "
        "signature, --signature"
    ),
    "no_signatures": (
        "model {folder}: has no signature; export it with one: keras Model.export, or "
        "tf.saved_model.save(..., signatures=...)"
    ),
    "no_inputs": (
        "model {folder}: signature {name} takes no inputs, so it gives nothing for a row and "
        "cannot score a table (signatures: {names})"
    ),
    "no_outputs": "model {folder}: signature {name} has no outputs (signatures: {names})",
    "many_graphs": (
        "model {folder}: holds {count} graphs with the one tag serve, and TensorFlow opens one of "
        "them; export it with that one"
    ),
    "no_serving_graph": (
        "model {folder}: holds no graph with the one tag serve (tags: {tags}); export it with that "
        "tag"
    ),
    "asset_outside": "model {folder}: asset '{asset}' is not in the model's folder",
    "unsafe_op": (
        "model {folder}: op {op} (node {node} in {place}) {why}; the model is not opened: it could "
        "do more than compute. Export it without this op"
    ),
    "unsafe_function": (
        "model {folder}: function {function} {why}; the model is not opened: it could do more than "
        "compute. Export it again with TensorFlow"
    ),
    "unsafe_input": (
        "model {folder}: input {input} of signature {signature} is {tensor}, which is no "
        "placeholder for an input; the model is not opened: it could do more than compute. Export "
        "it again with TensorFlow"
    ),
    "op_unlisted": "is not allow-listed",
    "op_no_function": "calls {name}, which the model does not hold",
    "op_no_asset": "reads a file that is no asset of the model",
    "op_no_checkpoint": "reads a checkpoint that is not the model's",
    "op_prints": "prints to a file",
    "op_attribute": "has an attribute {name} that the check cannot follow",
    "op_resource": "makes a resource from bytes",
    "op_twice": "has a name that stands twice in its graph",
    "function_is_op": "has the name of an op",
    "function_twice": "stands twice",
    "function_arguments": "takes arguments that are not told apart",
    # Command lines
    "no_value": "command line: {flag}: needs a value",
    "a_value": "command line: {flag}: takes no value",
    "unknown_flag": "command line: {flag}: unknown setting; --help lists all of them",
    "flag_not_yaml": "command line: {flag}: its value is not YAML",
    "no_spark_setting": "command line: --conf {text}: is not spark.NAME=VALUE",
}


def say(name: str, /, **values: Any) -> str:
    """The text of that name with its values."""
    return TEXTS[name].format(**values)


def misfit(
    error: ValidationError, given: Iterable[Any], unknown: str = "extra_forbidden"
) -> tuple[tuple[Any, ...], str]:
    """The place of pydantic's first complaint, and what is wrong there.

    Args:
        given: the values that were checked, to know a place from a kind's name in it.
        unknown: the text for a key that is not known.
    """
    first = error.errors(include_url=False)[0]
    kind = _ALIKE.get(first["type"], first["type"])
    if kind == "value_error":
        said = first["msg"].removeprefix("Value error, ")
    elif kind in _VALUES:
        numbers = {k: str(v).removesuffix(".0") for k, v in first.get("ctx", {}).items()}
        said = say(unknown if kind == "extra_forbidden" else kind, **numbers)
    else:
        said = first["msg"]
    return _place(first["loc"], list(given), absent=kind == "missing"), said


def _place(place: tuple[Any, ...], inside: list[Any], absent: bool) -> tuple[Any, ...]:
    """Without the names of kinds that pydantic puts between: ("keep", "list[str]") is keep."""
    path: tuple[Any, ...] = ()
    for index, part in enumerate(place):
        inner = [found for value in inside for found in _part(value, part)]
        if inner or (absent and index == len(place) - 1):
            path, inside = (*path, part), inner
    return path


def _part(value: Any, part: Any) -> list[Any]:
    if isinstance(value, dict):
        # populate_by_name: `physical_type` is named physicalType in complaints.
        names = [name for name in value if part in (name, _camel(name))]
        return [value[name] for name in names]
    if isinstance(value, list) and isinstance(part, int):
        return value[part : part + 1]
    return []


def _camel(name: Any) -> str:
    first, *rest = str(name).split("_")
    return first + "".join(part.capitalize() for part in rest)
