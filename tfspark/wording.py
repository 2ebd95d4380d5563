"""What Python and the Scala module say alike: one table, which the module gets as a resource."""

from __future__ import annotations

import difflib
import re
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
    "string_pattern_mismatch": "must match {pattern}",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "union_tag_not_found": "{discriminator} is missing",
    "union_tag_invalid": "{discriminator} must be one of {expected_tags}{near}",
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

CALLED = {
    **dict.fromkeys(("categorical", "category", "onehot", "one_hot", "string"), "vocabulary"),
    **dict.fromkeys(("number", "float", "continuous", "dense"), "numeric"),
    **dict.fromkeys(("bucket", "buckets", "bins", "binned"), "bucketize"),
    **dict.fromkeys(("embedding", "hashed"), "hash"),
}
"""What others call our kinds of features."""

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
    "no_regex": "'{pattern}' is not a regular expression in RE2's syntax",
    "class_in_class": "'{pattern}' has a class within a class, which RE2 does not know; write one",
    "logical_type": "{type} has the logical type {logical}, not {given}",
    "no_number": "minimum and maximum are for numbers, dates and timestamps, not {type}",
    "no_string": "pattern and lengths are for strings, not {type}",
    "no_pixels": "a uint8 tensor is raw binary, pixel by pixel, not {kind}",
    "no_array": "padValue is for arrays, not {kind}",
    "no_items": "minItems and maxItems are for arrays, not {type}",
    "no_multiple": "multipleOf is for whole numbers, not {type}",
    "no_format": "this format is for dates and timestamps, not {type}",
    "same_role": "two columns have the role {role}: {one} and {other}",
    "key_label": "a key cannot have the role {role}: scoring goes without it",
    "no_own_value": "{value} is no {type}",
    "no_bound": "{value} is no bound",
    "odd_number": "YAML reads {text} as {value}; write the number that you mean",
    "crossed": "{one} and {other} leave no value",
    "outside": "{value} is outside of {name} {bound}",
    "no_values": "no value is allowed: name one, or leave validValues out",
    "no_list_values": "validValues are not checked in lists ({type})",
    "no_dtype": "{type} becomes {known} only",
    "bad_shape": "the sizes of a shape are at least 1, or null",
    "no_shape": "{type} has {depth} dimension(s), which this shape does not fit",
    "did_you_mean": "{said}; did you mean {name}?",
    "no_table": "no table {name}; there are: {names}",
    "many_tables": "several tables: {names}; name one behind the file: FILE#TABLE",
    "not_taken": "columns of the type {type} are not taken",
    "no_item_type": "name the type of its items, as in array<string>",
    "no_item_rules": "items have a type alone: rules and lengths of items are not checked",
    "not_checked": "{name} is not checked here; leave it out",
    "not_utc": "a time without a zone is UTC here; give the others with their offset",
    "no_such_format": "unknown format '{format}'",
    "no_date_format": "'{format}' is not made of yyyy, MM, dd, HH, mm, ss, SSS and what is between",
    "twice": "{one} and {other} say it twice; leave one out",
    "no_metric": "unknown metric '{metric}'",
    "metric_place": "{metric} does not belong here: rowCount is of tables, all others of columns",
    "not_each_row": (
        "{metric} is checked row by row, so mustBe: 0 alone can be kept; how many rows may be bad "
        "says quarantine"
    ),
    "no_row_count": "a number of rows, or two for mustBeBetween, is what rowCount can be kept with",
    "not_missing": "'{value}' is not taken for a missing value; use source.options.nullValue",
    "own_name": "names that start with _tfspark are kept for tfspark's own columns",
    "unknown_type": "unknown type '{type}'; known: {known}",
    "bad_decimal": "{type}: precision is 1 to 38, scale at most the precision",
    "no_tensor": (
        "column {name}: {type} fits no tensor without loss; name the narrowing: "
        "tensor: {{dtype: float64}}"
    ),
    "no_column": "{where}: column {column} of the contract is missing; there are: {there}{hint}",
    "other_separator": (
        "; that is one column, which holds {sign}: is this what separates the columns? "
        "source.options: {{sep: '{sign}'}}"
    ),
    # Settings
    "no_file": "{path}: there is no such configuration file",
    "no_mapping": "{path}:1: a configuration file is a mapping of settings",
    "unknown_setting": "unknown setting{near}; --help all lists them",
    "unknown_variable": "environment: {variable} is no setting{near}; known: {known}",
    "no_json": "environment: {variable}: a list or mapping must be JSON",
    "option_unknown": "options.{name}: unknown option of {format}; known: {known}",
    "option_near": "options.{name}: unknown option of {format}; did you mean {near}?",
    "option_twice": "options.{name} and options.{other} say the same; leave one out",
    "option_flag": "options.{name}: must be true or false",
    "option_text": "options.{name}: must be text",
    "option_texts": "options.{name}: must be a text, or a list of texts",
    "option_char": "options.{name}: must be one ASCII character",
    "option_mark": "options.{name}: must be one character, and no digit or sign",
    "option_marks": "options.decimal and options.thousands are the same",
    "option_words": "options.trueValues and options.falseValues: give both, of different words",
    "option_columns": "options.columns: are names, each once, of files with header: false",
    "option_encoding": "options.{name}: there is no encoding {value}",
    "option_compression": "options.{name}: {value} is none of {known}",
    "option_pattern": (
        "options: the pattern {pattern} is not known: it is of yyyy, MM or M or MMM, dd or d, HH "
        "or H, mm, ss, S to SSSSSS, XXX (an offset or Z), texts in '...', and tells a day"
    ),
    "option_needless": "options.{name}: {why}; leave it out",
    "option_types": "types are the contract's",
    "option_mode": "a bad row goes to the quarantine",
    "option_headers": "all files must have the same header",
    "option_limits": "there is no such limit",
    "option_spaces": "spaces around a value do not count, and in a string they stay",
    "option_empty": "an empty value is null",
    "option_images": "options.{name}: images have no options",
    "threshold_alone": "threshold is for the class of a row; set classes: true too",
    "classes_signature": "classes and signature both choose the signature; give one",
    "option_list": "options.{name}: must be text, a number, true or false",
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
    "too_large": (
        "{place} has {count} values at once, and at most {most} are taken; export a signature of "
        "smaller tensors"
    ),
    "no_rows": (
        "{place} has batches of no rows; export a signature in which it has the batch dimension"
    ),
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
    # TFRecord
    "strange_feature": (
        "holds {name}, which no sampled record has; give the schema, or take it from all records "
        "(inferRecords=all, --records all)"
    ),
    "other_depth": "holds {found} in {name}, the schema says {wanted}",
    "no_byte_array": (
        "recordType is ByteArray, where a record is one binary column; the columns are {columns}"
    ),
    "no_sequence": (
        "column {name}: a list of lists is no part of an Example; leave recordType out, or name "
        "SequenceExample"
    ),
    "null_refused": (
        "column {name} holds a null, the schema says NOT NULL; read it without NOT NULL"
    ),
    "no_record_type": (
        "{path} holds records of the type {found}, recordType is {given}; leave recordType out"
    ),
    "no_codec": (
        "tfrecord: codec is '{codec}'; a TFRecord file is none, gzip or zlib (deflate): set "
        "compression to one of these"
    ),
    "two_codecs": "tfrecord: codec is '{codec}' and compression is '{compression}': name one",
    "local_disks": (
        "tfrecord: writeLocality is 'local', files on the disks of workers, which are no folder "
        "that can be committed; leave it out"
    ),
    "other_option": "tfrecord: there is no option {name}; {instead}",
    "structs_too_deep": "column {name}: structs {deep} deep, {most} is the most",
    # Command lines
    "no_value": "command line: {flag}: needs a value",
    "a_value": "command line: {flag}: takes no value",
    "unknown_flag": "command line: {flag}: unknown setting{near}; --help all lists them",
    "a_file": "command line: {text}: is no flag; a configuration file is given as --config {text}",
    "no_flag": "command line: {text}: is no flag; a value follows its flag: --FLAG VALUE",
    "flag_wrong": "command line: {flag}: {said}",
    "not_yaml_value": "its value is not YAML",
    "no_spark_setting": "command line: --conf {text}: is not spark.NAME=VALUE",
}


# Options of other sources of files, and what is written here in place of them.
INSTEAD = {
    "pathGlobFilter": "load a pattern: load('folder/*.tfrecord')",
    "recursiveFileLookup": "folders in a folder are read with it",
    "ignoreCorruptFiles": "use onCorrupt=skip, which leaves out damaged records",
    "ignoreMissingFiles": "a file that is gone is an error: load the folder again",
    "modifiedBefore": "load a pattern, or a list of files",
    "modifiedAfter": "load a pattern, or a list of files",
    "mergeSchema": "use inferRecords=all, which takes the schema from all records of all files",
    "inferSchema": "a schema is inferred where none is given; see inferRecords",
}


# How names of files end that lie beside TFRecord files and are none.
BESIDE = (
    *(".md", ".txt", ".rst", ".html", ".pdf", ".log", ".py", ".sh", ".ipynb"),
    *(".json", ".jsonl", ".yaml", ".yml", ".xml", ".toml", ".pbtxt", ".csv", ".tsv"),
    *(".parquet", ".orc", ".avro", ".png", ".jpg", ".jpeg", ".crc", ".md5", ".sha256"),
)


# What stores say, and the libraries that ask them.
STORES = {
    # In a stack of Java's: that it is about a store.
    "of": r"fs\.s3a\b|awssdk|hadoop\.(?:ipc|hdfs|net)\b|Call From |fs\.azure|hadoop\.fs\.gcs",
    # The answer to HEAD has no body that could say more than 400.
    "expired": r"ExpiredToken|EXPIRED_TOKEN|RequestExpired|token [\w ]{0,40}expired"
    r"|status 400\) during Head|Bad Request \(Service: S3",
    "busy": r"SLOW_DOWN|SlowDown|SERVICE_UNAVAILABLE|Service ?Unavailable|INTERNAL_FAILURE"
    r"|InternalError|\b(?:429|50[0234])\b|THROTTL|Throttl|REQUEST_TIMEOUT|RequestTimeout"
    r"|(?i:timed? ?out)|NETWORK_CONNECTION|curlCode"
    r"|(?i:connection (?:refused|reset|closed|aborted))|error sending request|after \d+ retries"
    r"|SafeModeException|StandbyException|reduce your request rate",
}


def say(name: str, /, **values: Any) -> str:
    """The text of that name with its values."""
    return TEXTS[name].format(**values)


def near(name: str, known: Iterable[str]) -> str:
    """` (did you mean ...?)` with the known names that a name is like; else nothing."""
    lower = {other.lower(): other for other in known}
    close = difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.6)
    return meant([lower[c] for c in close])


def meant(names: list[str]) -> str:
    """As `near`, of names that were found."""
    return f" (did you mean {', '.join(names)}?)" if names else ""


def misfit(error: ValidationError, given: Iterable[Any]) -> tuple[tuple[Any, ...], str]:
    """The place of pydantic's first complaint, and what is wrong there.

    Args:
        given: the values that were checked, to know a place from a kind's name in it.
    """
    return fault(error.errors(include_url=False)[0], given)


def fault(first: Any, given: Iterable[Any]) -> tuple[tuple[Any, ...], str]:
    """One of pydantic's complaints: its place, and what is wrong there."""
    kind = _ALIKE.get(first["type"], first["type"])
    if kind == "value_error":
        said = first["msg"].removeprefix("Value error, ")
    elif kind in _VALUES:
        numbers = {k: str(v).removesuffix(".0") for k, v in first.get("ctx", {}).items()}
        if kind == "union_tag_invalid":
            tag, known = numbers["tag"], re.findall("'([^']*)'", numbers["expected_tags"])
            numbers["near"] = meant([CALLED[tag]]) if tag in CALLED else near(tag, known)
        said = say(kind, **numbers)
        if kind == "literal_error":
            said = hinted(said, first["input"], re.findall("'([^']*)'", numbers["expected"]))
    else:
        said = first["msg"]
    return _place(first["loc"], list(given), absent=kind == "missing"), said


def hinted(said: str, given: Any, known: Iterable[str]) -> str:
    """The text, and the known name that is nearest to the given one, if one is near."""
    if not isinstance(given, str):
        return said
    apart, name = min(
        ((distance(given.lower(), n.lower()), n) for n in known),
        default=(99, ""),
        key=lambda found: found[0],
    )
    near = 0 < apart <= min(3, 1 + len(given) // 5)
    return say("did_you_mean", said=said, name=name) if near else said


def distance(one: str, other: str) -> int:
    """How many characters to put in, take out or change (Levenshtein)."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        above, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (a != b))
    return row[-1]


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
        names = [name for name in value if part in (name, camel(name))]
        return [value[name] for name in names]
    if isinstance(value, list) and isinstance(part, int):
        return value[part : part + 1]
    return []


def camel(name: Any) -> str:
    """`physical_type` → `physicalType`."""
    first, *rest = str(name).split("_")
    if "" in (first, *rest):
        return str(name)
    return first + "".join(part.capitalize() for part in rest)
