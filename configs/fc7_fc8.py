"""The report's second experiment: AlexNet, fc7 and fc8 re-trained on WikiArt.

  jaxart train --config=fc7_fc8 --workdir=runs/fc7_fc8

Needs bvlc_alexnet.safetensors and the lists wikiart/train.txt and
wikiart/val.txt; README.md says where they come from. The report reached a
validation accuracy of 0.406.
"""

from jaxart.training.config import base_config


def get_config():
    """The report's values."""
    config = base_config()
    config.model = "alexnet"
    config.weights = "bvlc_alexnet.safetensors"
    config.train_layers = ("fc7", "fc8")
    config.dropout_rate = 0.5

    config.optimizer = "sgd"
    config.momentum = 0.0
    config.learning_rate = 0.01
    config.num_epochs = 10
    config.batch_size = 128
    config.display_step = 3

    config.train_data = "wikiart/train.txt"
    config.val_data = "wikiart/val.txt"
    config.resize = "tf1_bilinear"
    return config
