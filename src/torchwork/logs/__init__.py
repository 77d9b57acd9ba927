"""Where a run is logged besides its own directory, by name: TensorBoard, MLflow, Weights & Biases."""

LOGS = {
    "mlflow": "torchwork.logs.mlflow:MLflow",
    "tensorboard": "torchwork.logs.tensorboard:TensorBoard",
    "wandb": "torchwork.logs.wandb:WandB",
}
