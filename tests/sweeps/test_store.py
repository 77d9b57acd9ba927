"""How values are drawn and where trials stand: by Optuna, keyed by seed and number."""

from __future__ import annotations

import itertools

import optuna
import pytest

from torchwork.sweeps import space, store, sweeping
from torchwork.types import InputError

SEARCH = {
    "a": {"choice": [[1], [2, 3], None]},
    "b": {"int": [-1, 2]},
    "c": {"log_uniform": [1e-4, 1]},
    "d": {"uniform": [-1, 1]},
    "e": {"log_int": [1, 1000]},
}


def _dimensions(*keys):
    return space.parse({key: SEARCH[key] for key in keys or SEARCH}, "val_loss")[0]


def _drawn(kind, dimensions, seed=0, numbers=range(40), study=None):
    study = study or optuna.create_study(sampler=store.Keyed(kind, seed, dimensions))
    found = []
    for _ in numbers:
        trial = study.ask()
        found.append(store.suggest(trial, dimensions))
        study.tell(trial, float(len(str(found[-1]["a"]))))
    return found


@pytest.mark.parametrize("kind", store.SAMPLERS[:2])
def test_values_are_in_their_ranges_and_a_function_of_seed_and_number(kind):
    dimensions = _dimensions()
    found = _drawn(kind, dimensions)
    assert found == _drawn(kind, dimensions)
    assert found != _drawn(kind, dimensions, seed=1)
    assert {str(values["a"]) for values in found} == {"[1]", "[2, 3]", "None"}
    assert {values["b"] for values in found} <= {-1, 0, 1, 2}
    assert all(1e-4 <= values["c"] <= 1 and -1 <= values["d"] <= 1 and 1 <= values["e"] <= 1000 for values in found)
    assert 5 < sum(values["c"] < 1e-2 for values in found) < 35  # as many below the middle of the orders as above


def test_random_values_do_not_depend_on_who_drew_those_before():
    dimensions = _dimensions()
    study = optuna.create_study(sampler=store.Keyed("random", 0, dimensions))
    for _ in range(7):
        study.ask()  # by other processes, which tell nothing yet
    assert _drawn("random", dimensions, numbers=range(3), study=study) == _drawn("random", dimensions)[7:10]


def test_what_stands_in_the_store_is_not_drawn_again(tmp_path):
    dimensions = _dimensions()
    study = store.open_study(str(tmp_path / "journal"), "a", store.Keyed("random", 0, dimensions))
    trial = study.ask()
    values = store.suggest(trial, dimensions)
    again = store.open_study(str(tmp_path / "journal"), "a", store.Keyed("random", 1, dimensions))
    assert store.suggest(optuna.trial.Trial(again, trial._trial_id), dimensions) == values


def test_a_grid_takes_every_point_once():
    dimensions = _dimensions("a", "b")
    assert space.num_points(dimensions) == 12
    found = [(str(values["a"]), values["b"]) for values in _drawn("grid", dimensions, numbers=range(12))]
    assert found == list(itertools.product(["[1]", "[2, 3]", "None"], [-1, 0, 1, 2]))


def test_tpe_goes_where_it_was_good():
    dimensions = _dimensions()
    study = optuna.create_study(sampler=store.Keyed("tpe", 0, dimensions))
    for _ in range(60):
        trial = study.ask()
        values = store.suggest(trial, dimensions)
        study.tell(trial, (values["d"] - 0.7) ** 2)
    late = [trial.params["d"] for trial in study.trials[40:]]
    assert sum(abs(d - 0.7) < 0.3 for d in late) > 14  # at random it would be 6


@pytest.mark.parametrize("end", [b'{"op_code": 4, "worker', b""])
def test_a_journal_whose_last_line_a_crash_cut_off_goes_on(tmp_path, end):
    path = tmp_path / "journal.log"
    store.open_study(str(path), "a").ask()
    with open(path, "ab") as file:
        file.write(end)
    study = store.open_study(str(path), "a")
    study.ask()
    assert [trial.number for trial in store.open_study(str(path), "a").trials] == [0, 1]


def test_a_database_is_a_store_too(tmp_path):
    url = f"sqlite:///{tmp_path / 'sweep.db'}"
    store.open_study(url, "a", higher=True).ask()
    study = store.open_study(url, "a", higher=True)
    assert (len(study.trials), study.direction.name) == (1, "MAXIMIZE")


@pytest.mark.parametrize("place", ["nosuch://host/db", "postgresql://localhost:1/x", "/dev/null/journal"])
def test_a_store_that_cannot_be_opened_is_a_mistake(place):
    with pytest.raises(InputError, match="cannot open") as caught:
        store.open_store(place)
    assert caught.value.findings[0].where == "--store"


def test_keys_that_matter_are_found_and_too_few_trials_say_so():
    dimensions = _dimensions("c", "d")
    study = optuna.create_study(sampler=store.Keyed("random", 0, dimensions))
    for number in range(30):
        trial = study.ask()
        values = store.suggest(trial, dimensions)
        study.tell(trial, values["d"] + 0.01 * values["c"])
        if number == 2:
            assert store.importances(study) == (
                {},
                "3 trials came to their end, and 4 are the least that say something",
            )
    shares, why = store.importances(study)
    assert (why, list(shares)) == ("", ["d", "c"])
    assert shares["d"] > 0.9


def test_without_optuna_the_remedy_is_told(monkeypatch):
    monkeypatch.setattr(sweeping.importlib.util, "find_spec", lambda name: None)
    search = {"optimizer.lr": {"uniform": [0.1, 1]}}
    with pytest.raises(InputError, match=r"pip install 'torchwork\[sweep\]'"):
        sweeping.sweep({"data": {"source": "Iris"}, "model": "MLP", "optimizer": "Adam", "search": search})
