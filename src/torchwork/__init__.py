"""From a data set and one short config to a trained, evaluated, explained and reproducible PyTorch model."""
