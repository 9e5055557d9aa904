"""Every public name exists and stands in an example that runs: on a page of the guide, in README, or in a docstring."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import duckfeat as dft
from duckfeat.query.queryset import QuerySet
from duckfeat.registries.features import FeatureManager
from duckfeat.registries.managers import Manager

ROOT = Path(__file__).resolve().parents[2]

REGISTRY = [
    "filter",
    "exclude",
    "all",
    "get",
    "get_or_none",
    "lookup",
    "search",
    "df",
    "pl",
    "arrow",
    "from_values",
    "validate",
    "inspect",
    "standardize",
    "using",
    "count",
    "describe",
    "to_dataframe",
]
RECORD = [
    "save",
    "delete",
    "restore",
    "describe",
    "refresh_from_db",
    "id",
    "uid",
    "created_at",
    "created_by",
    "run",
    "branch",
    "space",
]
QUERYSET = [
    "filter",
    "exclude",
    "order_by",
    "distinct",
    "values",
    "values_list",
    "count",
    "exists",
    "first",
    "last",
    "one",
    "one_or_none",
    "get",
    "search",
    "lookup",
    "validate",
    "inspect",
    "standardize",
    "df",
    "pl",
    "arrow",
    "to_list",
    "delete",
    "update",
    "sql",
    "explain",
]
MANAGER = ["add", "remove", "set", "clear", "all", "filter", "count", "df"]
FEATURES = ["add_values", "update_values", "set_values", "remove_values", "get_values", "history"]
PREDICATES = ["isin", "between", "contains", "is_null"]
STORE = [
    "backup",
    "export",
    "import_",
    "merge",
    "annotate",
    "save",
    "track",
    "view",
    "sql",
    "transaction",
    "check",
    "close",
    "switch",
    "finish",
]
MODULE = ["import_", "restore", "connect", "save", "view", "Q", "settings", "errors", "models", "DuckfeatError"]
FIELDS = {
    "FeatureValue": "value hash feature artifacts runs records created_at created_by run branch space",
    "Feature": "name dtype unit description synonyms values multiple coerce type",
    "Artifact": "key description suffix size hash n_observations version is_latest ulabels records runs feature_values",
    "Record": "name description type ulabels artifacts runs feature_values parents children",
    "Run": "transform status started_at finished_at ulabels records artifacts feature_values",
    "ULabel": "name description synonyms type parents children artifacts runs records",
    "Transform": "key runs",
    "User": "handle name",
    "Branch": "name description",
    "Space": "name description",
}


def examples() -> str:
    """Return the code of every example that the tests run."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    blocks = [
        block for page in pages for block in re.findall(r"```python[^\n]*\n(.*?)```", page.read_text(), re.DOTALL)
    ]
    for module in (ROOT / "duckfeat").rglob("*.py"):
        blocks += re.findall(r"^\s*(?:>>>|\.\.\.) .*$", module.read_text(), re.MULTILINE)
    return "\n".join(blocks)


def unshown(names: list[str], shown: str) -> list[str]:
    """Return the names that no example uses, be it as an attribute or as a keyword."""
    return [name for name in names if not re.search(rf"\.{name}\b|\b{name}=|\b{name}\(", shown)]


def test_a_name_without_example_is_noticed() -> None:
    shown = "store.save(label)  # all of them\ndft.Record(name=1)"
    assert unshown(["save", "name", "all", "sav", "label"], shown) == ["all", "sav", "label"]


def test_the_lists_here_are_those_of_the_classes() -> None:
    """A public name that is added to a class must be added here, and so be shown."""
    assert public(FeatureManager) == set(FEATURES)
    assert public(Manager) - public(QuerySet) == {"add", "remove", "clear", "set"} <= set(MANAGER)
    assert public(QuerySet) >= set(QUERYSET)
    assert public(dft.Store) >= set(STORE)


def public(owner: type) -> set[str]:
    return {name for name in dir(owner) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        (dft.ULabel, REGISTRY),
        (dft.Record, RECORD),
        (QuerySet, QUERYSET),
        (Manager, MANAGER),
        (FeatureManager, FEATURES),
        (dft.Feature, PREDICATES),
        (dft.Store, STORE),
        (dft, MODULE),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_names_of_the_contract_exist_and_have_an_example(owner: object, names: list[str]) -> None:
    shown = examples()
    assert [name for name in names if not hasattr(owner, name)] == []
    assert unshown(names, shown) == []


@pytest.mark.parametrize("registry", FIELDS)
def test_fields_and_relations_exist_and_are_described(registry: str) -> None:
    table = getattr(dft, registry).__table__
    for name in FIELDS[registry].split():
        assert table.has(name), name
        field = table.fields.get(name)
        assert field is None or field.__doc__


def test_what_is_public_has_a_docstring() -> None:
    for name in dft.__all__:
        assert getattr(dft, name).__doc__, name
