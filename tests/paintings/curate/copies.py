"""Copies of a picture as they come about: what a duplicate search must find."""

import io

from PIL import Image, ImageOps


def recompressed(image):
    buffer = io.BytesIO()
    image.save(buffer, "jpeg", quality=40)
    return Image.open(buffer).convert("RGB")


def resized(image):
    return image.resize([round(0.6 * side) for side in image.size])


def mirrored(image):
    return ImageOps.mirror(recompressed(image))


def cropped(image):
    """3 % of each side less, all round."""
    width, height = image.size
    left, top = 0.015 * width, 0.015 * height
    return image.crop([round(x) for x in (left, top, width - left, height - top)])


def cropped_at_a_corner(image):
    """3 % of each side less, at the left and at the top."""
    width, height = image.size
    return image.crop((round(0.03 * width), round(0.03 * height), width, height))


KINDS = (recompressed, resized, mirrored, cropped, cropped_at_a_corner)
