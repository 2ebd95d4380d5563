"""Every code block of the pages runs, or says above it why not. docs/scala.md has its own test."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests import docs_world
from tests.docs_blocks import Block, Shell, blocks, matches, pages, statements, to_run
from tfspark.config import load_settings
from tfspark.contracts import load_contract

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ELSEWHERE = {"docs/scala.md"}  # the test of the Scala module's page
RUN = [page for page in pages() if to_run(page) and page not in ELSEWHERE]
# Who adds a block that no test runs raises the count of its page, in the open.
NOT_RUN = {
    "README.md": 2,
    "docs/clusters.md": 8,
    "docs/design.md": 2,
    "docs/distributed.md": 4,
    "docs/features.md": 1,
    "docs/gpu.md": 6,
    "docs/images.md": 1,
    "docs/nights.md": 1,
    "docs/readers.md": 1,
    "docs/scala.md": 7,
    "docs/serving.md": 3,
    "docs/setup.md": 8,
    "docs/text.md": 1,
}
# What a page says → what stands for it here.
INSTEAD = {
    "README.md": {"--ranks 2": "--ranks 1"},  # ranks have tests of their own
    "docs/champions.md": {"--training.seed 1": "--training.force true"},  # whose verdict is known
    "docs/tuning.md": {"--tune.trials 40": "--tune.trials 1"},
    "docs/tfrecord.md": {
        "PATH": "records",
        "[--rows N]": "--rows 2",
        "[--columns a,b]": "--columns id,price",
        "[--records N]": "--records 5",
        "LOCATION 'folder'": "LOCATION '{home}/new'",
    },
}


class Reader:
    """Somebody who does what a page says, in a folder of their own."""

    def __init__(self, home: Path, spark: SparkSession) -> None:
        self.home, self.spark = home, spark
        self.shell = Shell(home, docs_world.env(home))
        self.page = self.said = self.demo = ""
        self.names: dict[str, Any] = {}

    def do(self, page: str) -> None:
        self.page, self.names = page, {"spark": self.spark, **imports()}
        if page == "docs/scoring.md":
            self.names["df"] = docs_world.passengers(self.spark, self.home)
            self.names["df"].createOrReplaceTempView("passengers")
            self.names["df"].createOrReplaceTempView("rows")
            self.tf_function("score", "models/mlp")
        if page == "docs/tfrecord.md":
            self.names["table"] = docs_world.events().select(["id", "price", "day"])
            self.names["df"] = self.spark.createDataFrame(self.names["table"].to_pandas())
        if page == "docs/querying.md":
            docs_world.bad_row(self.spark, self.home)
        if page == "docs/training.md":
            self.names["df"] = docs_world.passengers(self.spark, self.home)
        todo = to_run(page)
        if page == "docs/tuning.md":  # its commands need the configuration that it shows
            todo.sort(key=lambda block: block.language != "yaml")
        for block in todo:
            DO[block.language](self, block)

    def tf_function(self, name: str, model: str) -> None:
        import tfspark

        tfspark.score_udf(self.spark, str(self.home / model)).register(name)

    def text(self, block: Block) -> str:
        text = block.text
        for shown, here in INSTEAD.get(self.page, {}).items():
            text = text.replace(shown, here.format(home=self.home))
        text = re.sub(r"""(?<=["' ])/(?=(data|models)/)""", f"{self.home}/", text)
        text = text.replace("/srv/tfspark/", f"{self.home}/")
        if block.language == "python":
            # Spark's JVM does not stand in the reader's folder.
            own = "checkpoints|parquet|raw|records|scored|tables|warehouse"
            text = re.sub(rf"""(?<=")(?=({own})/)""", f"{self.home}/", text)
        if self.page == "docs/tfrecord.md" and block.language != "text":
            jvm = "-jvm" if block.language in ("scala", "sql") else ""
            text = re.sub(r"""(?<=["'])folder\b""", f"{self.home}/folder{jvm}", text)
        return text

    def sh(self, block: Block) -> None:
        ran = len(self.shell.ran)
        self.said = self.shell.run(self.text(block))
        asked = re.findall(r"^\s*(?:tfspark|spark-submit|conf/nightly.sh)\b", block.text, re.M)
        assert len(self.shell.ran) - ran >= len(asked), block.place

    def python(self, block: Block) -> None:
        """Statement by statement; what one gives is used, so that lazy values do their work."""
        tree = ast.parse(self.text(block), filename=block.place)
        for node in tree.body:
            if isinstance(node, ast.Expr):
                code = compile(ast.Expression(node.value), block.place, "eval")
                use(eval(code, self.names))  # noqa: S307
                continue
            exec(compile(ast.Module([node], []), block.place, "exec"), self.names)  # noqa: S102
            if isinstance(node, ast.Assign):
                use(self.names[ast.unparse(node.targets[0])])

    def scala(self, block: Block) -> None:
        """Calls of Spark that are the same in both languages."""
        self.python(block)

    def sql(self, block: Block) -> None:
        for statement in statements(self.text(block)):
            rows = self.spark.sql(statement).collect()
            assert rows or not statement.startswith("SELECT"), statement

    def yaml(self, block: Block) -> None:
        found = yaml.safe_load(block.text)
        file = self.home / "block.yaml"
        file.write_text(block.text)
        if found.get("kind") == "DataContract":
            assert load_contract(file).name == found["schema"][0]["name"]
            return
        base = (self.home / "conf" / "passengers.yaml").read_text()
        kept = {key: value for key, value in yaml.safe_load(base).items() if key not in found}
        file.write_text(yaml.safe_dump(kept) + block.text)
        settings = load_settings(str(file))
        assert all(getattr(settings, key) for key in found)
        if "features" in found:
            build(self.home, settings)
        if "tune" in found:
            shutil.copy(file, self.home / "conf" / "passengers.yaml")

    def output(self, block: Block) -> None:
        """What the command before has printed, or the folder that the page describes."""
        if self.page == "docs/tfrecord.md":
            folder = self.home / "folder"
            for line in block.text.splitlines():
                name = line.split()[0].replace("<job>", "*").replace("00000", "*")
                assert name.startswith("_staging") or list(folder.glob(name)), name
        else:
            said = self.said.replace(f"{self.home}/", "")
            assert matches(block.text, said), f"{block.place}\n{self.said}"


DO: dict[str, Callable[[Reader, Block], None]] = {
    "sh": Reader.sh,
    "python": Reader.python,
    "scala": Reader.scala,
    "sql": Reader.sql,
    "yaml": Reader.yaml,
    "text": Reader.output,
}


def imports() -> dict[str, Any]:
    """Names that pages use and do not import again in every block."""
    import tensorflow as tf

    import tfspark
    from tfspark.dataset import find_dataset

    return {"tf": tf, "tfspark": tfspark, "find_dataset": find_dataset}


def use(value: Any) -> None:
    """Do the work that a lazy value only promises."""
    kind = f"{type(value).__module__}.{type(value).__name__}"
    if kind.endswith(".DataFrame"):
        assert value.collect(), "no rows"
    elif "DatasetV2" in kind or kind.startswith("tensorflow.python.data"):
        assert next(iter(value)) is not None
    elif kind.endswith("DuckDBPyRelation"):
        assert value.fetchall()


def build(home: Path, settings: Any) -> Any:
    """The recipe's features over the world's dataset."""
    from tfspark.dataset import find_dataset
    from tfspark.features.build import build_features

    dataset = find_dataset(str(home / "warehouse" / "datasets" / "passengers"))
    return build_features(settings.features, dataset.contract, dataset.statistics)


@pytest.fixture(scope="module")
def reader(
    tmp_path_factory: pytest.TempPathFactory, spark: SparkSession, whole_jobs: None
) -> Iterator[Reader]:
    home = tmp_path_factory.mktemp("reader")
    docs_world.make(home)
    someone = Reader(home, spark)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        for name, value in docs_world.env(home).items():
            patch.setenv(name, value)
        someone.said = someone.demo = someone.shell.run("tfspark demo")
        for name, folder, versions in (("ranker", "ranker/8", 8), ("m", "m", 7)):
            docs_world.register(name, home / "models" / folder, versions)
        yield someone
    for what in (
        "TABLE scored",
        "TABLE t",
        "VIEW passengers",
        "VIEW rows",
        "VIEW v",
        "VIEW predictions",
    ):
        spark.sql(f"DROP {what.replace(' ', ' IF EXISTS ')}")
    for name in ("score", "survival"):
        spark.sql(f"DROP TEMPORARY FUNCTION IF EXISTS {name}")


@pytest.mark.parametrize("page", RUN)
def test_the_page_does_what_it_says(page: str, reader: Reader) -> None:
    reader.do(page)
    if page == "docs/training.md":
        given = build(reader.home, load_settings("conf/passengers.yaml"))
        from tfspark.models import Output

        model = reader.names["two_towers"](given, Output("p", 1, "sigmoid"))
        assert model.output_shape == (None, 1)


def test_what_the_demo_prints_runs_as_it_is_printed(reader: Reader) -> None:
    lines = [line for line in reader.demo.split("Try next:\n")[1].splitlines() if line.strip()]
    page = lines.pop().removeprefix("The night's page: ")
    assert page.endswith("nights/passengers/2026-11-20.html")
    assert (reader.home / page).is_file()
    assert len(lines) == 7
    for line in lines:
        if line.split()[0] in ("tensorboard", "mlflow"):  # servers
            assert shutil.which(line.split()[0])
        elif "; echo $?" in line:
            assert reader.shell.run(f"set +e\n{line}").strip() == "75"
        else:
            said = reader.shell.run(line)
            if "--order-by -probability" in line:
                shown = [float(row.split()[1]) for row in said.splitlines()[1:]]
                assert len(shown) == 20
                assert shown == sorted(shown, reverse=True)


def test_what_is_not_run_says_why() -> None:
    counted: dict[str, int] = {}
    for page in pages():
        for block in blocks(page):
            if block.reason is not None:
                counted[page] = counted.get(page, 0) + 1
                print(f"{block.place}: {block.reason}")
            elif page not in ELSEWHERE:
                assert block.language in DO, f"{block.place}: {block.language or 'no language'}"
    assert counted == NOT_RUN


def test_a_page_that_is_wrong_fails(tmp_path: Path) -> None:
    """The runner sees a command that fails, one that calls nothing, and other output."""
    shell = Shell(tmp_path, {})
    with pytest.raises(AssertionError, match="ended with 2"):
        shell.run("tfspark score --nothing 1")
    with pytest.raises(AssertionError, match="ended with 3"):
        shell.run("exit 3; true")
    assert shell.run("tfspark --help").startswith("usage: tfspark")
    assert matches("a 1.5\n...\nb  2\n", "x\na   0.25\nmore\n b 2\n")
    assert not matches("a 1.5\nb 2\n", "a 0.25\nmore\nb 2\n")
    assert not matches("b 2\n", "b 3\n")
    assert statements("SELECT 1 -- one\nSELECT 2\n  FROM x;\n") == [
        "SELECT 1",
        "SELECT 2\n  FROM x",
    ]
