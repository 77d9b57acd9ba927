"""Worker processes and the signals that a terminal sends to all of them."""

import os
import signal

import numpy as np
import pytest
import torch

from torchwork.data.workers import Workers


def ctrl_c(key):
    os.kill(os.getpid(), signal.SIGINT)
    return key[1]


def how_signals_are_met(key):
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


def test_ctrl_c_leaves_the_workers_to_the_program_that_answers_it():
    workers = Workers(ctrl_c, 1, torch.device("cpu"))
    try:
        assert [ids.tolist() for ids in workers.read([(0, np.arange(2)), (0, np.arange(3))])] == [[0, 1], [0, 1, 2]]
    finally:
        workers.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_workers_do_not_inherit_the_programs_answer_to_a_signal(number):
    before = signal.signal(number, lambda *_: None)
    workers = Workers(how_signals_are_met, 1, torch.device("cpu"))
    try:
        assert next(workers.read([(0, np.arange(1))])) == [signal.SIG_IGN, signal.SIG_DFL]
    finally:
        workers.close()
        signal.signal(number, before)
