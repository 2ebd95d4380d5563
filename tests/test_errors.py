import inspect
import re

from tfspark import errors


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    said = dict(re.findall(r"(\w+)\s{2,}(\d+)   ", errors.__doc__ or ""))
    classes = {
        name: cls
        for name, cls in inspect.getmembers(errors, inspect.isclass)
        if cls.__module__ == errors.__name__
    }
    codes = {name: str(cls.exit_code) for name, cls in classes.items()}
    assert {**said, **dict(re.findall(r"(\w+Error|\w+)\s+(\d+) ", errors.__doc__ or ""))} == codes
    assert all(issubclass(cls, errors.TfsparkError) for cls in classes.values())
