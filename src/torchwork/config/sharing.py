"""Which keys of ``data.split`` go together."""

from __future__ import annotations

from torchwork.config.sections import SplitConfig
from torchwork.types import Finding

# What each rule is told by; by: null follows from these keys.
_NEEDED = {"grouped": ("group", "pattern"), "time": ("time",), "manifest": ("file",)}
# The rules that may know of groups: what they cut, they cut between groups.
_GROUPED = ("grouped", "hash", "given")


def check(split: SplitConfig) -> list[Finding]:
    """Return what is wrong in a split, as far as the config alone tells: fractions, and keys that contradict."""
    by: str | None = split.by
    by = by or next((rule for rule, keys in reversed(_NEEDED.items()) if _given(split, keys)), None)
    return [*_fractions(split, by), *_keys(split, by), *_groups(split, by), *_folds(split, by)]


def _given(split: SplitConfig, keys: tuple[str, ...]) -> list[str]:
    return [key for key in keys if getattr(split, key) is not None]


def _fractions(split: SplitConfig, by: str | None) -> list[Finding]:
    """Check the parts of a split that is not the data's own. (Without ``by`` the data decide whether it is.)"""
    if by in ("given", "manifest") or split.folds is not None or split.test_groups or split.val_groups:
        return []
    shares = {part: getattr(split, part) for part in ("train", "val", "test")}
    findings = []
    if by is not None and abs(sum(shares.values()) - 1) > 1e-6:
        written = [f"{part} {share:g}" for part, share in shares.items()]
        message = f"{', '.join(written)} add up to {sum(shares.values()):g}"
        findings.append(Finding("fractions", "error", "data.split", message, "make them add up to 1"))
    if split.train == 0:
        findings.append(Finding("no-train", "error", "data.split.train", "got 0", "expected a number above 0"))
    return findings


def _keys(split: SplitConfig, by: str | None) -> list[Finding]:
    findings = []
    for rule, keys in _NEEDED.items():
        if by == rule and not _given(split, keys):
            fix = f"name it: {' or '.join(f'data.split.{key}' for key in keys)}"
            said = {"grouped": "what makes a group", "time": "the column of times", "manifest": "which manifest"}[rule]
            findings.append(Finding("missing-key", "error", "data.split.by", f"{rule} does not say {said}", fix))
        allowed = _GROUPED if rule == "grouped" else (rule,)
        for key in _given(split, keys):
            if by is not None and by not in allowed:
                fix = f"take by: {rule}, or remove it"
                findings.append(Finding("contradiction", "error", f"data.split.{key}", f"goes not with by: {by}", fix))
    if split.group is not None and split.pattern is not None:
        message = "data.split.group says already what makes a group"
        findings.append(Finding("contradiction", "error", "data.split.pattern", message, "leave out one of the two"))
    return findings


def _groups(split: SplitConfig, by: str | None) -> list[Finding]:
    findings = []
    for key in ("val_groups", "test_groups"):
        if getattr(split, key) and (by not in ("grouped", "hash") or not _given(split, _NEEDED["grouped"])):
            fix = "say what makes a group: data.split.group or data.split.pattern"
            findings.append(Finding("missing-key", "error", f"data.split.{key}", "there are no groups", fix))
    both = sorted({str(name) for name in split.val_groups} & {str(name) for name in split.test_groups})
    if both:
        message = f"{', '.join(both)} {'is' if len(both) == 1 else 'are'} among data.split.val_groups as well"
        findings.append(Finding("contradiction", "error", "data.split.test_groups", message, "name each once"))
    return findings


def _folds(split: SplitConfig, by: str | None) -> list[Finding]:
    if split.folds is None:
        if split.fold is None:
            return []
        message = "says which, but not of how many"
        return [Finding("missing-key", "error", "data.split.fold", message, "give data.split.folds, as 5")]
    findings = []
    if split.fold is not None and split.fold > split.folds:
        fix = f"expected 1 to {split.folds}"
        findings.append(Finding("wrong-value", "error", "data.split.fold", f"got {split.fold}", fix))
    if by == "time":
        message = "with by: time all but one fold would train on what came later than val"
        findings.append(Finding("contradiction", "error", "data.split.folds", message, "leave out one of the two"))
    if split.val_groups:
        message = "with data.split.folds each fold is val in its turn"
        findings.append(Finding("contradiction", "error", "data.split.val_groups", message, "leave out one of the two"))
    if split.test == 1:
        message = "all is for test, and nothing is left for the folds"
        findings.append(Finding("no-train", "error", "data.split.test", message, "expected a number below 1"))
    return findings
