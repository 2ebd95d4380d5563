import pytest

from tfspark.contracts import load_contract, parse_contract
from tfspark.errors import ContractFileError

HEAD = "kind: DataContract\nid: t\nversion: 1.0.0\nschema:\n  - name: t\n    properties:\n"
KEY = "      - {name: id, physicalType: bigint, primaryKey: true, required: true}\n"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (HEAD + KEY + "      - {name: a, physicalType: integr}\n", 8, "unknown type 'integr'"),
        (HEAD + KEY + "      - {name: ID, physicalType: int}\n", 5, "two columns of one name"),
        (HEAD + "      - name: a\n        name: b\n", 8, "two keys of one name: name"),
        (HEAD + KEY + "      - name: a\n        physicalType: int\n        fo: 1\n", 10, "fo"),
        (HEAD + "      - {name: a, physicalType: int}\n", 5, "no key"),
        (
            HEAD + KEY + "      - {name: a, physicalType: int, logicalType: string}\n",
            8,
            "int has the logical type integer, not string",
        ),
        (
            HEAD
            + KEY
            + "      - name: a\n        physicalType: string\n        logicalTypeOptions:\n"
            + '          pattern: "(["\n',
            11,
            "not a regular expression",
        ),
        (
            HEAD
            + KEY
            + "      - {name: a, physicalType: string, logicalTypeOptions: {minimum: 1}}\n",
            8,
            "minimum and maximum are for numbers",
        ),
        (
            HEAD
            + "      - name: a\n        physicalType: string\n        primaryKey: true\n"
            + '        logicalTypeOptions: {minLength: "5", maxLength: "3"}\n',
            7,
            "minLength 5 and maxLength 3 leave no value",
        ),
        ("kind: DataContract\nid: [\n", 3, "not YAML"),
        ("", 1, "the file is empty"),
        ("kind: Contract\nid: t\nversion: 1\nschema: []\n", 1, "DataContract"),
        (HEAD + KEY + "      - {name: a, physicalType: int, role: lable}\n", 8, "label"),
    ],
)
def test_a_mistake_is_refused_with_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(ContractFileError, match=rf"^x\.yaml:{line}: ") as error:
        parse_contract(text.encode(), "x.yaml")
    assert says in str(error.value)


def test_bytes_that_are_not_utf8_are_refused_with_their_line() -> None:
    with pytest.raises(ContractFileError, match=r"^x\.yaml:2: not UTF-8"):
        parse_contract(b"kind: DataContract\nid: \xff\n", "x.yaml")


def test_python_tags_are_not_run() -> None:
    with pytest.raises(ContractFileError, match="not YAML"):
        parse_contract(b"id: !!python/object/apply:os.getcwd []\n", "x.yaml")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ContractFileError, match="nowhere.yaml"):
        load_contract("nowhere.yaml")


def test_layout_and_comments_do_not_change_the_digest() -> None:
    one = parse_contract((HEAD + KEY).encode(), "x")
    two = parse_contract(("# a comment\n" + HEAD.replace("id: t", "id:   t") + KEY).encode(), "x")
    other = parse_contract((HEAD + KEY.replace("bigint", "int")).encode(), "x")
    assert one.digest() == two.digest() != other.digest()
