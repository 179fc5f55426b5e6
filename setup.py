"""What pyproject.toml cannot say: configs/ is the package jaxart.configs."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["jaxart*"]), "jaxart.configs"],
    package_dir={"jaxart.configs": "configs"},
)
