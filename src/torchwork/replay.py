"""A window that was not finite, gone through again: from what a run left of it, without its data."""

from __future__ import annotations

from pathlib import Path

from torchwork import building, config, rundir
from torchwork.data.target import Target
from torchwork.training import bundle, fault_text, precision, weights
from torchwork.training import device as devices
from torchwork.training.diagnosis import Fault, origin
from torchwork.types import Finding, InputError, RunError


def replay(path: str | Path) -> str:
    """Go through the window of a bundle again; return what was found, the same as in the run.

    Raises:
        InputError: there is no bundle.
        RunError: something else was found than in the run.
    """
    place = Path(path)
    if not (place / bundle.FAULT).is_file():
        fix = "give one that a run left, as runs/digits/1/faults/00000123"
        raise InputError(Finding("no-bundle", "error", str(place), "is no bundle to replay", fix))
    settings = config.load(place / rundir.CONFIG)
    device = devices.choose(settings.device if settings.device in devices.present() else "auto")
    facts = rundir.read_json(place / rundir.DATA)
    with devices.using_threads(settings.train.threads or 1), devices.keeping_generators(device):
        held = bundle.read(place, device)
        task = building.build_task(settings, Target.from_state(facts["encoding"]))
        model, _ = building.build_model(settings, facts, task.num_outputs, device, pretrained=False)
        weights.load_weights(model, place / bundle.MODEL)
        task.criterion.to(device, precision.dtype(settings.train.precision))
        model.train()
        found = origin(model, task, held.window, held.total, held.layer_seed)
    numbers = (held.index, held.epoch, held.what, held.loss, held.window, held.total, held.layer_seed)
    fault = Fault(*numbers, model, task)  # type: ignore[arg-type]

    def name(id_: int) -> str:
        known = held.names.get(id_, "")
        return f"{id_} ({known})" if known not in ("", f"sample {id_}") else str(id_)

    if (found.kind, found.name, found.ids) != (held.origin.kind, held.origin.name, held.origin.ids):
        message = f"in the run: {fault_text.where(held.origin, name)}. Now: {fault_text.where(found, name)}"
        raise RunError(f"the replay finds something else: {message}")
    return f"{fault_text.place(fault)}: {fault_text.told(fault, found, name)}"
