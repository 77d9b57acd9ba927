"""A command on a hostile file must end in an error that names it, and do nothing else."""

from reliability import commands
from reliability.gadgets import CANARY

ROW = "Malicious files, none executed"

IRIS = """
data: {source: Iris, transform: [Normalize], batch_size: 16}
model: {name: MLP, hidden: [8]}
optimizer: {name: Adam, lr: 1e-2}
train: {epochs: 2, threads: 1}
"""


def ends(folder, *arguments, code=2, says=""):
    """Run a command; it must end with this code, an error that says this, and without any misdeed."""
    before = {path.name for path in folder.parent.iterdir()} | {f"{folder.name}-said"}
    ended = commands.run(*arguments, folder=folder)
    assert "Traceback" not in ended.err + ended.out, ended.err[-1000:]
    assert ended.code == code, ended.out[-500:] + ended.err[-1000:]
    assert "mistake in Torchwork" not in ended.err
    if code:
        assert "error: " in ended.err
    assert says in ended.err + ended.out, ended.out[-500:] + ended.err[-1000:]
    assert ended.misdeeds == []
    assert not list(folder.parent.rglob(CANARY)), "it was executed"
    assert {path.name for path in folder.parent.iterdir()} == before, "something was written outside"
    return ended
