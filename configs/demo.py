"""The demo: ten procedural styles, no download.

  jaxart train --config=demo --workdir=runs/demo

The paintings are painted by a program, and the network starts from random
convolutions: it shows how jaxart works, not what pretrained weights are worth.
Measured: validation accuracy 0.920 (chance 0.100).
"""

from jaxart.training.config import base_config


def get_config():
    """A classifier on what AlexNet's convolutions see before any training."""
    config = base_config()
    config.model = "alexnet"
    config.weights = ""
    config.hidden = ()
    config.train_layers = ("fc8",)

    config.optimizer = "adamw"
    config.learning_rate = 1e-3
    config.weight_decay = 10.0  # 9,216 features, 450 pictures
    config.schedule = "cosine"
    config.num_epochs = 20
    config.batch_size = 32

    config.train_data = "procedural"
    config.val_fraction = 0.25
    return config
