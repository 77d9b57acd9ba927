"""Imports go down the floors of the house only, without a circle, read from the code itself."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import pytest

from architecture.source_tree import PACKAGE, imports, modules, own_imports

FLOORS = {
    0: {
        "allocator",
        "caches",
        "types",
        "rng",
        "catalog",
        "dist",
        "durable",
        "processes",
        "revision",
        "rundir",
        "shards",
        "sockets",
        "without_dynamo",
    },
    1: {"data", "models", "losses", "metrics", "optim"},
    2: {"tasks"},
    3: {"training"},
    4: {"inspection", "report", "checks", "use", "environment", "progress", "logs", "jobs"},
    5: {"config"},
    6: {
        "assembly",
        "beginning",
        "building",
        "choices",
        "changes",
        "distribution",
        "explaining",
        "faults",
        "course",
        "finishing",
        "live",
        "loaded",
        "lr_range",
        "packing",
        "plan",
        "preview",
        "reproducing",
        "replay",
        "resolved",
        "resuming",
        "run",
        "run_data",
        "run_split",
        "runlog",
        "together",
    },
    7: {"sweeps", "folds", "watch"},
    8: {"cli"},
    9: {"__main__"},
}
FLOOR_OF = {part: floor for floor, parts in FLOORS.items() for part in parts}

# parts that are one thing in several files: they may know each other, without a circle
TOGETHER = [FLOORS[0], FLOORS[6]]

# who may import what is slow to load or big; everybody else goes without
ALLOWED = {
    "sklearn": {
        "torchwork.data.audit.giveaway",
        "torchwork.data.outliers",
        "torchwork.data.builtin",
        "torchwork.metrics.classification_report",
        "torchwork.inspection.embedding",
    },
    "scipy": {
        "torchwork.data.sound.decode",
        "torchwork.metrics.chosen",
        "torchwork.metrics.intervals",
        "torchwork.metrics.paired",
        "torchwork.metrics.resampling",
        "torchwork.metrics.weighted_classes",
        "torchwork.metrics.weighted_pairs",
        "torchwork.metrics.weighted_scores",
        "torchwork.report.drawn.scores",
        "torchwork.report.plots.confusion",
        "torchwork.report.repeated",
        "torchwork.report.seeds",
    },
    "soundfile": {"torchwork.data.sound.decode"},
    "pandas": {"torchwork.data", "torchwork.cli.look", "torchwork.cli.look_texts"},
    "PIL": {"torchwork.data", "torchwork.inspection", "torchwork.report.drawn.samples", "torchwork.cli.look"},
    "simplejpeg": {"torchwork.data"},
    "matplotlib": {"torchwork.report.plots", "torchwork.report.drawn", "torchwork.inspection.lettering"},
    "jinja2": {"torchwork.report.html"},
    "markupsafe": {"torchwork.report.compare", "torchwork.report.html", "torchwork.report.study"},
    "pydantic": {"torchwork.config"},
    "yaml": {
        "torchwork.report.compare",
        "torchwork.config",
        "torchwork.report.facts",
        "torchwork.report.study",
        "torchwork.watch.seen",
    },
    "typer": {"torchwork.cli"},
    "rich": {"torchwork.cli", "torchwork.progress"},
    "safetensors": {"torchwork.training", "torchwork.beginning", "torchwork.models", "torchwork.loaded"},
    "optuna": {"torchwork.sweeps"},
    "torchvision": set(),
}
FRONT = {"torchwork"}  # the package itself: its names are lazy


def _together(one: str, other: str) -> bool:
    return one == other or any(one in parts and other in parts for parts in TOGETHER)


def test_every_module_has_a_floor():
    parts = {module.part for module in modules().values()} - {""}
    assert parts <= set(FLOOR_OF), f"not on any floor: {sorted(parts - set(FLOOR_OF))}"


def test_imports_go_down_the_floors_and_never_to_a_sibling():
    wrong = []
    for name, module in modules().items():
        if name in FRONT:
            continue
        for found in own_imports(name):
            target = modules()[found.target].part
            up = target == "" or FLOOR_OF[target] > FLOOR_OF[module.part]
            sibling = target != "" and FLOOR_OF[target] == FLOOR_OF[module.part] and not _together(target, module.part)
            if (up or sibling) and found.names != ("__version__",):
                wrong.append(f"{name}:{found.line} imports {found.target}")
    assert not wrong, "\n".join(wrong)


def test_nothing_below_its_floor_imports_config():
    wrong = [
        f"{name}:{found.line}"
        for name, module in modules().items()
        for found in own_imports(name)
        if module.part and modules()[found.target].part == "config" and FLOOR_OF[module.part] < FLOOR_OF["config"]
    ]
    assert not wrong


def test_there_is_no_import_circle():
    graph = {name: {found.target for found in own_imports(name)} for name in modules() if name not in FRONT}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_modules_take_nothing_but_a_catalog_from_the_init_of_their_own_package():
    wrong = [
        f"{name}:{found.line} takes {', '.join(found.names)} from {found.target}"
        for name, module in modules().items()
        for found in own_imports(name)
        if not module.is_package and name.startswith(f"{found.target}.") and modules()[found.target].is_package
        if not (found.names and all(taken.isupper() for taken in found.names))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("library", ALLOWED)
def test_a_heavy_library_is_imported_only_where_it_is_needed(library):
    wrong = [
        f"{name}:{found.line}"
        for name in modules()
        for found in imports(name)
        if found.target.split(".")[0] == library
        if not any(name == place or name.startswith(f"{place}.") for place in ALLOWED[library])
    ]
    assert not wrong, f"{library} is imported by {', '.join(wrong)}"


def test_no_public_name_is_also_a_package_or_module_in_its_place():
    """Importing ``torchwork.train`` would replace the function of that name."""
    import torchwork

    places = {path.stem for path in PACKAGE.iterdir()}
    assert not set(torchwork.__all__) & places
