"""AlexNet with every layer re-trained, from the pretrained weights.

  jaxart train --config=all_layers --workdir=runs/all_layers

Needs what fc8 needs. Nothing is frozen, so nothing is cached: for a GPU
or TPU. No result has been measured yet.
"""

from jaxart.training.config import base_config


def get_config():
    """Small steps with momentum; the pretrained layers only need to adapt."""
    config = base_config()
    config.model = "alexnet"
    config.weights = "bvlc_alexnet.safetensors"
    config.train_layers = (
        "conv1",
        "conv2",
        "conv3",
        "conv4",
        "conv5",
        "fc6",
        "fc7",
        "fc8",
    )
    config.dropout_rate = 0.5

    config.optimizer = "sgd"
    config.momentum = 0.9
    config.weight_decay = 5e-4
    config.learning_rate = 1e-3
    config.schedule = "cosine"
    config.warmup_epochs = 1.0
    config.num_epochs = 20
    config.batch_size = 128

    config.train_data = "wikiart/train.txt"
    config.val_data = "wikiart/val.txt"
    return config
