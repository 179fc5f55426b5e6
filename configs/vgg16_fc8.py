"""VGG16's convolutions with a linear classifier on pool5.

  jaxart train --config=vgg16_fc8 --workdir=runs/vgg16 \
      --config.weights=W.safetensors --config.train_data=train.txt \
      --config.val_data=test.txt --config.image_root=DIR

The weights may hold convolutions only: hidden=() leaves out fc6 and fc7. Measured
on 2,703 + 674 WikiArt paintings of 10 styles, with no artist on both sides:
validation accuracy 0.429 (95 % interval 0.392 to 0.466).
"""

from jaxart.training.config import base_config


def get_config():
    """A linear classifier on frozen features, decayed hard.

    pool5 has 25,088 features, more than there are paintings: without a decay that
    makes it forget them, the classifier keeps its random initial weights wherever
    the paintings say nothing. Rate and decay come from cross-validation over the
    training artists; README.md says how far the figure above can be trusted.
    """
    config = base_config()
    config.model = "vgg16"
    config.weights = "vgg16.safetensors"
    config.hidden = ()
    config.train_layers = ("fc8",)

    config.optimizer = "sgd"
    config.momentum = 0.9
    config.learning_rate = 3e-4
    config.weight_decay = 100.0
    config.schedule = "cosine"
    config.num_epochs = 20
    config.batch_size = 128

    config.train_data = "wikiart/train.txt"
    config.val_data = "wikiart/val.txt"
    config.resize = "antialias"
    return config
