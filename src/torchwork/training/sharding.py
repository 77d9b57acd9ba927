"""A model of which each process holds a part, by torch's ``fully_shard``: for models that fit no device as a whole."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from torchwork import dist, shards
from torchwork.optim import state as optimizer_state
from torchwork.optim.check import sparse_parameters
from torchwork.optim.several import Optimizers, members
from torchwork.training.parallel import tried, undone
from torchwork.training.ranks import Ranks
from torchwork.training.state import Gathered, State
from torchwork.training.units import SMALLEST, owners, units
from torchwork.types import Batch, Finding, InputError, Task

# what autocast computes in the low format, so that its weights may be sent in it
_LOWERED = (
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.MultiheadAttention),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)


@dataclass(frozen=True)
class Sharding:
    """How a model is shared out: each of its `units`, and the model itself for the rest.

    ``lower`` is the format in which weights are sent that autocast would compute in it anyway; gradients are added up
    in the format of the weights.
    """

    lower: torch.dtype | None = None
    smallest: int = SMALLEST


def sharded(state: State, task: Task, batch: Batch, device: torch.device, how: Sharding | None = None) -> Ranks:
    """Share out a state's model and optimizer, and return what a step needs.

    Parameters, gradients and the optimizer's state become tensors of which each process holds its rows (DTensor,
    ``Shard(0)``). A unit is whole on a device only while it is at work. The gradients of all processes are added up,
    not averaged.

    Args:
        state: Before the first update; its model may be on the CPU, whatever the device.
        task: What is trained for.
        batch: One to try the model on, on the device; nothing of the trial stays.
        device: Where this process computes.
        how: Which formats and sizes.

    Raises:
        InputError: the model cannot be shared out.
    """
    how, model = how or Sharding(), state.model
    if sparse := sorted(sparse_parameters(model)):
        raise _refusal(f"gradients of parts are dense, those of {', '.join(sparse)} are sparse")
    before = dict(model.named_parameters())
    with _understood():
        _shard(model, device, how)
    _take_over(state.optimizer, before, dict(model.named_parameters()))
    ranks = Ranks(model, sharded=True)
    with _understood(of_shape=False), undone(model, device):
        tried(model, task, batch)
        model.eval()
        with torch.no_grad():
            task.loss(model, batch, 1.0)
    state.ranks = ranks
    state.gather = _gathering(state)
    return ranks


def _shard(model: nn.Module, device: torch.device, how: Sharding) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

    mesh = init_device_mesh(device.type, (dist.world(),))

    def share(module: nn.Module, lower: torch.dtype | None) -> None:
        # autocast casts inputs and outputs where it must
        policy = MixedPrecisionPolicy(lower, torch.float32 if lower else None, cast_forward_inputs=False)
        fully_shard(module, mesh=mesh, reshard_after_forward=True, mp_policy=policy)
        assert isinstance(module, FSDPModule)
        module.set_gradient_divide_factor(1.0)
        module.set_force_sum_reduction_for_comms(True)  # gloo adds up and can do nothing else

    names = units(model, how.smallest)
    for module in [*map(model.get_submodule, names), model]:
        held = _of_no_unit(module)
        alike = all(isinstance(one, _LOWERED) for one in held)
        if how.lower is not None and not alike and module is not model:
            tied = _tied(module)
            for one in [one for one in held if one is not module and _stands_alone(one, tied)]:
                share(one, None)  # norms and the like, whose weights autocast leaves as they are
            held = _of_no_unit(module)
            alike = all(isinstance(one, _LOWERED) for one in held)
        share(module, how.lower if alike else None)


def _of_no_unit(module: nn.Module) -> list[nn.Module]:
    """Return the modules whose parameters are still to be shared out."""
    return [one for one in owners(module) if not any(map(shards.is_shared, one.parameters(recurse=False)))]


def _stands_alone(module: nn.Module, tied: set[int]) -> bool:
    layer = not isinstance(module, _LOWERED) and not any(True for _ in module.children())
    return layer and not tied & {id(parameter) for parameter in module.parameters()}


def _tied(module: nn.Module) -> set[int]:
    """Return the ids of the parameters that several of a module's parts have."""
    counts = Counter(id(p) for part in module.modules() for p in part.parameters(recurse=False))
    return {key for key, times in counts.items() if times > 1}


def _take_over(
    optimizer: Optimizer | Optimizers, before: Mapping[str, Tensor], after: Mapping[str, nn.Parameter]
) -> None:
    """Give an optimizer the shared-out parameters instead of those that it was built with."""
    new = {id(old): after[name] for name, old in before.items()}
    for one in members(optimizer):
        for group in one.param_groups:
            group["params"] = [new.get(id(p), p) for p in group["params"]]
        state: defaultdict[Tensor, Any] = defaultdict(dict)
        for old, held in one.state.items():
            now = new[id(old)]
            state[now] = {key: _like(value, old, now) for key, value in held.items()}
        one.state = state


def _like(value: Any, old: Tensor, now: Tensor) -> Any:
    return shards.shared_as(value, now) if isinstance(value, Tensor) and value.shape == old.shape else value


@contextmanager
def _understood(*, of_shape: bool = True) -> Iterator[None]:
    """Say which key asked for what a model does not allow: by its parameters, or by what it does with them."""
    try:
        yield
    except (ValueError, AssertionError, TypeError, NotImplementedError) as error:
        if not of_shape:
            raise
        raise _refusal(str(error)) from error
    except RuntimeError as error:
        if "DTensor" not in str(error):
            raise
        raise _refusal(f"it uses weights of a module without calling it ({str(error).splitlines()[0]})") from error


def _refusal(why: str) -> InputError:
    said = why.strip().splitlines()[0] if why.strip() else "torch gives no reason"
    message = f"the model cannot be shared out by fully_shard: {said}"
    return InputError(Finding("not-shared", "error", "distributed.strategy", message, "take ddp, or another model"))


def _gathering(state: State) -> Any:
    def gather() -> None:
        """Bring all parts together on the first process, where the next snapshot takes them."""
        of_optimizer = optimizer_state.save(state.optimizer, state.model, _on_first)
        gathered = Gathered(state.progress.index, gathered_weights(state.model), of_optimizer)
        state.gathered = gathered if dist.is_first() else None

    return gather


def _on_first(tensor: Tensor) -> Tensor:
    """Return all of a tensor on the first process, in the CPU's memory; nothing elsewhere."""
    found = shards.whole(tensor.detach())
    return found.cpu() if dist.is_first() else found.new_empty(0)


def gathered_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return a model's weights and buffers as one process would have them, on the first; all must ask.

    What is tied has one memory, as in the model.
    """
    held = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers(remove_duplicate=False))
    found: dict[str, Tensor] = {}
    first: dict[int, str] = {}
    for name, tensor in model.state_dict().items():
        key = id(held.get(name, tensor))
        found[name] = found[first[key]] if key in first else _on_first(tensor)
        first.setdefault(key, name)
    return found


def spread_weights(model: nn.Module, tensors: Mapping[str, Tensor] | None) -> None:
    """Give each process its part of weights that the first one has; without such, the first one's buffers alone.

    Args:
        model: What was shared out.
        tensors: By name, on the first process; None elsewhere.
    """
    given = dist.from_first(tensors is not None)
    names = set(model.state_dict()) if given else {name for name, _ in model.named_buffers()}
    with torch.no_grad():
        for name, held in model.state_dict().items():
            if name in names:
                held.copy_(shards.shared_as(_broadcast(name, held, tensors), held))


def _broadcast(name: str, held: Tensor, tensors: Mapping[str, Tensor] | None) -> Tensor:
    if dist.is_first():
        full = tensors[name].to(held.device) if tensors is not None else held.detach().clone()
        full = full.contiguous()
    else:
        full = torch.empty(held.shape, dtype=held.dtype, device=held.device)
    torch.distributed.broadcast(full, 0)
    return full
