"""A run that is trained again is told to be bit-equal, or where it first differs."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

import torchwork
from quick_runs import STEPS, config, make_quick, quick, stopped  # noqa: F401
from torchwork import rundir
from torchwork.cli import main
from torchwork.optim.encoding import decode, encode
from torchwork.report import equality
from torchwork.training import store, weights
from torchwork.types import InputError

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        make_quick(patched)
        settings = config(train={"keep_best": 9}, data={"clean": {"duplicates": "keep_first"}})
        out = stopped(settings, tmp_path_factory.mktemp("kept") / "run", 4)  # however it came to its end
        return torchwork.resume(out).path


@pytest.fixture
def run(kept, tmp_path):
    return shutil.copytree(kept, tmp_path / "run")


def test_a_run_trained_again_is_bit_equal(run):
    found = torchwork.reproduce(run)
    assert (found.equal, found.difference, found.environment) == (True, None, [])
    assert found.path == run.parent / "run-reproduced" / "1"
    assert f"history of 3 epochs and {3 * STEPS} steps" in found.compared
    assert [f"optimizer after step {STEPS * epoch}" in found.compared for epoch in (1, 2, 3)] == [True] * 3
    assert (found.path / rundir.CONFIG).read_bytes() == (run / rundir.CONFIG).read_bytes()
    assert (found.path / rundir.SPLIT).read_bytes() == (run / rundir.SPLIT).read_bytes()
    assert torchwork.reproduce(found.path).equal  # it is a run like any other


class Other(torch.optim.SGD):
    """Is an ulp off in one update."""

    updates = 0

    def step(self, closure=None):
        loss = super().step(closure)
        self.updates += 1
        if self.updates == STEPS + 2:
            with torch.no_grad():
                place = self.param_groups[0]["params"][0].view(-1)[:1]
                place.copy_(torch.nextafter(place, place + 1))
        return loss


def test_a_run_that_comes_out_otherwise_is_told_with_the_place(tmp_path, monkeypatch, capsys):
    settings = config(optimizer={"name": "SGD", "lr": 0.1})
    run = torchwork.train(settings, out=tmp_path / "run").path
    monkeypatch.setattr(torch.optim, "SGD", Other)
    with pytest.raises(SystemExit) as end:
        main(["reproduce", str(run), "--json"])
    assert end.value.code == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (event,) = [each for each in told if each["event"] == "reproduced"]
    assert not event["equal"]
    assert event["difference"].startswith(f"epoch 2, step {2 * STEPS}: ")
    assert event["difference"].endswith(" now")
    assert told[-1]["run"] == str(tmp_path / "run-reproduced" / "1")


def test_what_is_not_as_it_was_is_named_beforehand(run):
    environment = rundir.read_json(run / rundir.ENVIRONMENT)
    environment["packages"]["torch"] = "2.12.0"
    environment["threads"] = 4
    environment["resumed"][0]["differs"] = {"processor": ["one", "another"]}
    rundir.write_json(run / rundir.ENVIRONMENT, environment)

    class Said:
        def __init__(self):
            self.said = []

        def message(self, text):
            self.said.append(text)

        def start(self, *_):
            self.said.append("training")

        def nothing(self, *_): ...

        step = epoch = stop = finding = nothing

    shown = Said()
    found = torchwork.reproduce(run, progress=shown)
    told = {key: (then, now) for key, then, now in found.environment}
    assert told["packages.torch"] == ("2.12.0", environment_now(found)["packages"]["torch"])
    assert told["threads"] == ("4", "1")
    assert told["processor from step 4 on"][0] == "another"
    before = shown.said[: shown.said.index("training")]
    assert any(text.startswith("note: packages.torch was 2.12.0 and is ") for text in before)


def environment_now(found):
    return rundir.read_json(found.path / rundir.ENVIRONMENT)


def test_data_that_changed_cannot_give_the_run_again(run):
    rows = (run / rundir.SPLIT).read_text().splitlines()
    fields = rows[1].split(",")
    fields[-1] = "0" * len(fields[-1])
    (run / rundir.SPLIT).write_text("\n".join([rows[0], ",".join(fields), *rows[2:]]) + "\n")
    with pytest.raises(InputError, match="1 sample is of other content"):
        torchwork.reproduce(run)
    assert not (run.parent / "run-reproduced").exists()


def test_a_run_that_has_not_ended_or_was_changed_on_its_way_is_refused(run, tmp_path):
    half = stopped(config(), tmp_path / "half", 2)
    with pytest.raises(InputError, match="the run is not complete"):
        torchwork.reproduce(half)
    torchwork.resume(run, overrides=["train.epochs=4", "optimizer.lr=0.1"], allow_changes=["optimizer.lr"])
    with pytest.raises(InputError, match=rf"its config was changed after step {3 * STEPS}: optimizer\.lr 0.01 → 0.1"):
        torchwork.reproduce(run)


def test_harmless_changes_leave_a_run_that_can_be_reproduced(run):
    torchwork.resume(run, overrides=["train.epochs=4"])
    assert torchwork.reproduce(run).equal


# every file that is compared, made to differ in one place


def history(run):
    place = run / rundir.CHECKPOINTS / f"{3 * STEPS:08d}-epoch-3"
    text = (place / "state.json").read_text()
    content = json.loads(text)
    progress = decode(content["progress"])
    progress["history"][1]["val_loss"] += 1e-15
    content["progress"] = encode(progress, "progress")
    replaced(place, "state.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return f"epoch 2, step {2 * STEPS}: val_loss"


def replaced(place, name, content):
    content = content.encode() if isinstance(content, str) else content
    files = {path.name: path.read_bytes() for path in place.iterdir() if path.name != store.MANIFEST}
    shutil.rmtree(place)
    store.write(place, {**files, name: content})


def optimizer(run):
    place = run / rundir.CHECKPOINTS / f"{2 * STEPS:08d}-epoch-2"
    tensors = load_file(place / "optimizer.safetensors")
    name = min(tensors)
    tensors[name].view(-1)[1] += 1
    replaced(place, "optimizer.safetensors", weights.to_bytes(tensors, {}))
    return f"optimizer after step {2 * STEPS}: {name}[1] (1 of {tensors[name].numel()} values differ)"


def minus_zero(run):
    """A difference that == does not see."""
    tensors = load_file(run / rundir.MODEL)
    tensors["output.bias"][2] = 0.0
    save_file(tensors, run / rundir.MODEL)
    return "final weights: output.bias[2] (1 of 3 values differ)"


def layers(run, number=3):
    rows = (run / rundir.LAYERS).read_text().splitlines()
    rows[number] = rows[number].rpartition(",")[0] + ",0.5"
    (run / rundir.LAYERS).write_text("\n".join(rows) + "\n")
    epoch, step, layer = rows[number].split(",")[:3]
    return f"epoch {epoch}, step {step}: update_ratio of {layer}"


def prediction(run):
    path = run / rundir.predictions("test")
    rows = path.read_text().splitlines()
    fields = rows[4].split(",")
    fields[3] = "9"
    path.write_text("\n".join([*rows[:4], ",".join(fields), *rows[5:]]) + "\n")
    return f"test: {rows[0].split(',')[3]} of sample {fields[0]}"


def metric(run):
    content = rundir.read_json(run / rundir.METRICS)
    content["test"]["accuracy"] = 0.5
    rundir.write_json(run / rundir.METRICS, content)
    return "accuracy of test"


def fewer_epochs(run):
    place = run / rundir.CHECKPOINTS / f"{3 * STEPS:08d}-epoch-3"
    shutil.rmtree(place)
    return "the number of epochs"


@pytest.mark.parametrize(
    "change", [history, optimizer, minus_zero, layers, prediction, metric, fewer_epochs], ids=lambda c: c.__name__
)
def test_the_first_difference_is_found_in_every_file(change, kept, tmp_path):
    one, other = (shutil.copytree(kept, tmp_path / name) for name in ("one", "other"))
    if change is minus_zero:
        for place in (one, other):
            tensors = load_file(place / rundir.MODEL)
            tensors["output.bias"][2] = -0.0
            save_file(tensors, place / rundir.MODEL)
    assert equality.compare(one, other).difference is None
    where = change(other)
    assert equality.compare(one, other).difference.where == where


def test_of_several_differences_the_earliest_step_is_told(kept, tmp_path):
    one, other = (shutil.copytree(kept, tmp_path / name) for name in ("one", "other"))
    history(other)
    where = layers(other, 2)
    assert where.startswith("epoch 1")
    assert equality.compare(one, other).difference.where == where
    metric(other)
    assert equality.compare(one, other).difference.where == where


def test_compare_says_whether_two_runs_of_one_config_are_equal(kept, tmp_path):
    one, other = (shutil.copytree(kept, tmp_path / name) for name in ("one", "other"))
    (pair,) = torchwork.compare([one, other]).pairs
    assert "They have one config and one seed, and are equal bit for bit." in pair.notes
    metric(other)
    (pair,) = torchwork.compare([one, other]).pairs
    assert any(note.startswith("They have one config and one seed, and differ; first, accuracy") for note in pair.notes)
