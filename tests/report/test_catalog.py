"""What every plot of the catalog promises, whatever it is given."""

import importlib
import inspect
import pkgutil
import warnings
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from report.plot_examples import EXAMPLES, LONG, NAMES
from torchwork.report import plots
from torchwork.report.plots import svg

QUICK = ("names", "nothing", "empty", "NaN", "some", "one")  # besides the first case; the many ones take a minute


def cases(name):
    for place, case in enumerate(EXAMPLES[name]):
        marks = () if place == 0 or case.startswith(QUICK) else (pytest.mark.slow,)
        yield pytest.param(name, case, id=f"{name}-{case}", marks=marks)


CASES = [each for name in EXAMPLES for each in cases(name)]
MOST_BYTES = 150_000


def called(name, case, change=lambda value: value):
    """Return the figure, and what warnings there were; options stand last as a dict."""
    arguments = [change(value) for value in EXAMPLES[name][case]]
    function = getattr(plots, name)
    first_is_mapping = len(arguments) == 1
    options = arguments.pop() if isinstance(arguments[-1], dict) and not first_is_mapping else {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = function(*arguments, **options)
        return figure, svg.text(figure, "plot")


def words(document):
    root = ElementTree.fromstring(document.encode())
    return ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]


def test_every_plot_has_examples():
    assert set(EXAMPLES) == set(plots.PLOTS)


def test_functions_stay_functions_when_every_module_is_imported():
    for module in pkgutil.iter_modules(plots.__path__):
        importlib.import_module(f"{plots.__name__}.{module.name}")
    for name in plots.PLOTS:
        assert inspect.isfunction(getattr(plots, name)), f"a module is called {name} too"
        assert getattr(plots, name).__name__ == name


@pytest.mark.parametrize("name", plots.PLOTS)
def test_a_plot_says_what_it_draws_and_shows_an_example(name):
    said = inspect.getdoc(getattr(plots, name))
    assert "Args:" in said
    assert ">>>" in said


@pytest.mark.parametrize(("name", "case"), CASES)
def test_a_plot_takes_plain_lists_and_gives_a_small_well_formed_picture(name, case):
    figure, document = called(name, case)
    assert isinstance(figure, Figure)
    assert "<script" not in document
    assert len(document) < MOST_BYTES
    said = words(document)
    assert all(len(line) < 120 for line in said)  # a long name is cut
    if case.startswith("nothing"):
        assert any(line.strip() for line in said), "the figure does not say that there is nothing"


@pytest.mark.parametrize("name", plots.PLOTS)
def test_a_picture_is_the_same_bytes_each_time_and_of_arrays_as_of_lists(name):
    def as_array(value):
        try:
            array = np.asarray(value) if isinstance(value, list) else None
        except ValueError:  # of unequal lengths
            return value
        return array if array is not None and array.dtype.kind in "fi" else value

    case = next(iter(EXAMPLES[name]))
    assert called(name, case, as_array)[1] == called(name, case)[1]


@pytest.mark.parametrize("name", [name for name in EXAMPLES if "names" in EXAMPLES[name]])
def test_names_show_as_they_are(name):
    said = " ".join(words(called(name, "names")[1]))
    assert NAMES[3] in said
    assert LONG not in said
