"""Devices and threads: what is there, and a rule that does not change."""

import os

import pytest
import torch

from torchwork.training import device
from torchwork.types import InputError


def test_auto_is_the_first_device_that_is_there():
    assert str(device.choose("auto")) == device.present()[0]
    assert device.present()[-1] == "cpu"


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "tpu:0"])
def test_a_device_that_is_not_there_is_an_error_that_names_those_that_are(name):
    with pytest.raises(InputError, match=rf"there is no '{name}' on this machine.*present: .*cpu"):
        device.choose(name)


def test_what_hides_devices_is_told(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    with pytest.raises(InputError, match="CUDA_VISIBLE_DEVICES=5"):
        device.choose("cuda:7")


@pytest.mark.parametrize(("asked", "expected"), [(None, None), ("1", 1), ("9999", None), ("many", None)])
def test_threads_are_the_cores_unless_omp_num_threads_says_less(asked, expected, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert device.default_threads() == (expected or len(os.sched_getaffinity(0)))


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with device.using_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
