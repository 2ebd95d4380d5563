"""Words of the Open Data Contract Standard, v3.0 to v3.2: data, which the Scala module has too."""

from __future__ import annotations

TYPES = {
    **dict.fromkeys(("bool", "bit"), "boolean"),
    **dict.fromkeys(("byte", "int1"), "tinyint"),
    **dict.fromkeys(("short", "int2", "smallserial"), "smallint"),
    **dict.fromkeys(("integer", "int4", "int32", "mediumint", "serial"), "int"),
    **dict.fromkeys(("long", "int8", "int64", "bigserial"), "bigint"),
    **dict.fromkeys(("real", "float4", "float32"), "float"),
    **dict.fromkeys(("double precision", "float8", "float64"), "double"),
    **dict.fromkeys(("decimal", "numeric", "number", "dec"), "decimal(38,18)"),
    **dict.fromkeys(("text", "tinytext", "mediumtext", "longtext", "clob", "uuid"), "string"),
    **dict.fromkeys(("varchar", "nvarchar", "varchar2", "nvarchar2"), "string"),
    **dict.fromkeys(("char", "nchar", "character", "character varying", "bpchar"), "string"),
    **dict.fromkeys(("varbinary", "bytes", "blob", "bytea"), "binary"),
    **dict.fromkeys(("datetime", "datetime2", "timestamptz", "timestamp_tz"), "timestamp"),
    **dict.fromkeys(("timestamp_ntz", "timestamp_ltz"), "timestamp"),
    **dict.fromkeys(("timestamp with time zone", "timestamp without time zone"), "timestamp"),
}
"""The types of databases, without their lengths → ours."""
LOGICAL_TYPES = {
    "string": "string",
    "integer": "bigint",
    "number": "double",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
}
"""Where a column has no `physicalType`."""
TOLERATED = ["integer number", "number integer", "timestamp date"]
"""Our logical type and another one that files give with it: v3.0 has no timestamp."""
NUMBERS: dict[str, tuple[str, int | None, int | None]] = {
    "i8": ("tinyint", -128, 127),
    "i16": ("smallint", -32_768, 32_767),
    "i32": ("int", -(2**31), 2**31 - 1),
    "i64": ("bigint", None, None),
    "u8": ("smallint", 0, 255),
    "u16": ("int", 0, 65_535),
    "u32": ("bigint", 0, 4_294_967_295),
    "f32": ("float", None, None),
    "f64": ("double", None, None),
}
"""`format` of a number → the type where no `physicalType` is given, least and largest value."""
PATTERNS = {
    "uuid": "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "email": r"[^@\s]+@[^@\s]+",
    "uri": r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+",
    "hostname": r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?",
    "ipv4": r"(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])",
    "ipv6": "[0-9a-fA-F:.]*:[0-9a-fA-F:.]*",
    "byte": "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?",
    "password": "",
    "binary": "",
}
"""`format` of text → the pattern; empty: it says nothing of what the text is."""
OURS = ["role", "tensor", "validValues", "quarantine"]
"""Additions of ours, which may stand in `customProperties` too, as tfspark.NAME."""

_ELEMENT = ["id", "businessName", "deprecated", "synonyms", "authoritativeDefinitions", "tags"]
MUST = [
    *("mustBe", "mustNotBe", "mustBeGreaterThan", "mustBeGreaterOrEqualTo", "mustBeLessThan"),
    *("mustBeLessOrEqualTo", "mustBeBetween", "mustNotBeBetween"),
]
USED = {
    "contract": ["apiVersion", "kind", "id", "version", "status", "description", "schema"],
    "table": ["name", "description", "quarantine", "properties", "quality", "customProperties"],
    "property": [
        *("name", "description", "physicalType", "logicalType", "required", "unique"),
        *("primaryKey", "role", "validValues", "logicalTypeOptions", "tensor"),
        *("enum", "items", "quality", "customProperties"),
    ],
    "options": [
        *("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf", "pattern"),
        *("minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "format"),
        "defaultTimezone",
    ],
    "tensor": ["dtype", "shape", "nullValue", "padValue", "nan"],
    "quarantine": ["maxShare", "maxRows", "leastRows", "mostRows"],
    "quality": ["metric", "rule", "arguments", "unit", "type", *MUST],
}
"""What files may say, by where it stands."""
KEPT = {
    "contract": [
        *("name", "tenant", "tags", "servers", "dataProduct", "domain", "context", "support"),
        *("price", "team", "roles", "slaDefaultElement", "slaProperties"),
        *("authoritativeDefinitions", "customProperties", "contractCreatedTs"),
    ],
    "table": [
        *(*_ELEMENT, "physicalName", "physicalType", "logicalType"),
        *("dataGranularityDescription", "relationships", "context"),
    ],
    "property": [
        *(*_ELEMENT, "physicalName", "primaryKeyPosition", "semanticType", "partitioned"),
        *("partitionKeyPosition", "classification", "encryptedName", "criticalDataElement"),
        *("transformSourceObjects", "transformLogic", "transformDescription", "examples"),
        *("relationships", "properties", "map"),
    ],
    "options": ["minProperties", "maxProperties", "required", "dimensions", "timezone"],
    "quality": [
        *("id", "authoritativeDefinitions", "businessImpact", "customProperties", "description"),
        *("dimension", "method", "name", "schedule", "scheduler", "severity", "tags"),
        *("query", "engine", "implementation"),
    ],
}
"""What files may say that changes nothing here, by where it stands."""
METRICS = {
    "nullValues": "nullValues",
    "nullCheck": "nullValues",
    "missingValues": "missingValues",
    "invalidValues": "invalidValues",
    "duplicateValues": "duplicateValues",
    "duplicateCount": "duplicateValues",
    "rowCount": "rowCount",
}
"""Names of the library's metrics, those of v3.0 too."""
