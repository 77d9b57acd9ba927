"""A sequence of symbols for each sample, read off more steps than there are symbols."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from torchwork.losses.criterion import Criterion
from torchwork.metrics import edits, running
from torchwork.tasks import output_rules, target_rules
from torchwork.tasks.supervised import Evaluation, Probe, Terms, batch_loss, batch_terms
from torchwork.types import Batch, Finding


@dataclass(frozen=True)
class Sequence:
    """Outputs are log-probabilities [B, T, K + 1] of K symbols and the blank at each step; torch gets [T, B, K + 1].

    Targets are int64 [B, S], padded with -1: places among the symbols, between which the task makes room for the
    blank; with ``raw`` they are torch's own numbers, the blank's place among them left out. Every sample has T steps.
    The prediction is greedy: the likeliest symbol of each step, repeats merged, blanks removed.

    Source: Graves et al.: "Connectionist temporal classification", 2006.
    """

    criterion: Criterion
    symbols: tuple[str, ...]
    raw: bool = False
    companions: None = None

    @property
    def num_outputs(self) -> int:
        """One for each symbol, and the blank."""
        return len(self.symbols) + 1

    @property
    def blank(self) -> int:
        """The blank's place among the outputs."""
        return int(self.criterion.module.blank)  # type: ignore[attr-defined]

    def loss(
        self, model: nn.Module, batch: Batch, weight: float | None = None, outputs: list[Tensor] | None = None
    ) -> Tensor:
        return batch_loss(self, model, batch, weight, outputs)

    def weight(self, batch: Batch) -> float:
        return float(len(batch.target))

    def arguments(self, output: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        steps = torch.full((len(output),), output.shape[1], dtype=torch.int64, device=target.device)
        lengths = (target >= 0).sum(1)
        filled = torch.where(target >= 0, self._with_blank(target), 1 if self.blank == 0 else 0)
        return output.transpose(0, 1), filled, steps, lengths

    def evaluate_batch(self, model: nn.Module, batch: Batch) -> Terms:
        return batch_terms(self, model, batch)

    def _with_blank(self, target: Tensor) -> Tensor:
        return target if self.raw else target + (target >= self.blank)

    def check_targets(self, targets: Tensor, where: str = "data.source") -> None:
        findings = self._check_blank()
        count = self.num_outputs if self.raw else len(self.symbols)
        target_rules.refuse(findings or target_rules.sequences(targets, count, self.blank if self.raw else None, where))

    def _check_blank(self) -> list[Finding]:
        if 0 <= self.blank < self.num_outputs:
            return []
        message = f"got {self.blank}, and there are {self.num_outputs} outputs with the blank"
        fix = f"choose 0 to {self.num_outputs - 1}"
        return [Finding("blank-range", "error", "loss.blank", message, fix)]

    def check_output(
        self, output: Tensor, batch: Batch, probe: Probe | None = None, targets: Tensor | None = None
    ) -> None:
        count, rows = self.num_outputs, len(batch.target)
        what = f"CTCLoss needs log-probabilities of {count} symbols, the blank among them, at every step"
        findings = self._check_blank()
        if output.ndim != 3:
            message = f"gives outputs of shape {list(output.shape)} for {rows} samples"
            findings += [
                Finding("output-shape", "error", "model", message, f"{what}: it must give [{rows}, T, {count}]")
            ]
        elif output.shape[0] != rows and output.shape[1] == rows:
            message = f"gives outputs of shape {list(output.shape)}: the steps come first"
            fix = f"give samples first, [{rows}, T, {count}]: the task turns them round for torch"
            findings += [Finding("output-shape", "error", "model", message, fix)]
        else:
            findings += output_rules.shape(output, (rows, output.shape[1], count), what)
        findings = findings or output_rules.log_probabilities(output, probe, "CTCLoss", axis=2)
        target_rules.refuse(
            findings or self._check_steps(output.shape[1], batch.target if targets is None else targets)
        )

    def _check_steps(self, steps: int, target: Tensor) -> list[Finding]:
        """Refuse targets that no alignment reaches: a step for each symbol, and one between two that are equal."""
        needed = (target >= 0).sum(1) + ((target[:, 1:] == target[:, :-1]) & (target[:, 1:] >= 0)).sum(1)
        short = int((needed > steps).sum())
        if not short or bool(self.criterion.module.zero_infinity):  # type: ignore[attr-defined]
            return []
        message = f"gives {steps} steps, too few for {short} of {len(target)} targets: the longest needs "
        message += f"{int(needed.max())}, one for each symbol and one between two equal ones"
        fix = "give it more steps (less pooling along them), or set zero_infinity: true to leave those samples out"
        return [Finding("too-few-steps", "error", "model", message, fix)]

    def decode(self, outputs: Tensor) -> list[tuple[int, ...]]:
        """Return the symbols' places that outputs [N, T, K + 1] read as, by the likeliest symbol of each step."""
        best = outputs.argmax(2)
        kept = (best != self.blank) & torch.cat([best[:, :1] >= 0, best[:, 1:] != best[:, :-1]], dim=1)
        places = best if self.raw else best - (best > self.blank).to(best.dtype)
        return [tuple(row[mask].tolist()) for row, mask in zip(places, kept, strict=True)]

    def _texts(self, rows: list[tuple[int, ...]]) -> list[str]:
        names = self.symbols if not self.raw else tuple(str(place) for place in range(self.num_outputs))
        return [edits.joined([names[place] for place in row], names) for row in rows]

    def metrics(self, evaluation: Evaluation) -> dict[str, float]:
        return edits.rates(_unpadded(evaluation.targets), self.decode(evaluation.outputs))

    def tally(self, output: Tensor, target: Tensor) -> Tensor:
        read = [row == true for row, true in zip(self.decode(output), _unpadded(target), strict=True)]
        return running.exact(read)

    def tallied(self, sums: list[float]) -> dict[str, float]:
        return {"exact_match": running.share(sums)}

    def predictions(self, outputs: Tensor) -> list[dict[str, object]]:
        return [{"prediction": text} for text in self._texts(self.decode(outputs))]

    def table(self, evaluation: Evaluation) -> tuple[list[str], list[list[object]]]:
        """Return header and rows: target and prediction as texts."""
        texts = (self._texts(rows) for rows in (_unpadded(evaluation.targets), self.decode(evaluation.outputs)))
        rows = zip(evaluation.ids.tolist(), *texts, evaluation.losses.tolist(), strict=True)
        return ["id", "target", "prediction", "loss"], [list(row) for row in rows]


def _unpadded(target: Tensor) -> list[tuple[int, ...]]:
    return [tuple(place for place in row if place >= 0) for row in target.tolist()]
