"""Configs: frozen data from YAML, TOML, JSON or a dict, every mistake at once; a JSON schema out."""

from torchwork.config.json_schema import schema
from torchwork.config.loading import dump, load
from torchwork.config.sections import Component, Config, DataConfig, SplitConfig, TrainConfig

__all__ = ["Component", "Config", "DataConfig", "SplitConfig", "TrainConfig", "dump", "load", "schema"]
