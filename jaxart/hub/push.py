"""Makes a run's folder for the hub, and sends it in one commit."""

import hashlib
import re
from pathlib import Path
from typing import Any, NamedTuple

from jaxart import classifier, storage
from jaxart.export import weight_files
from jaxart.hub import card, facts
from jaxart.storage import AnyPath, hub, results

_REPO = re.compile(r"[\w.-]+/[\w.-]+")


class Pushed(NamedTuple):
    """Where a commit is to be seen."""

    url: str
    commit: str


def check_repo(repo: str) -> None:
    """Refuses what is no OWNER/NAME with a `ValueError`."""
    if not _REPO.fullmatch(repo):
        raise ValueError(f"{repo}: a repository is OWNER/NAME")


def write_folder(
    workdir: AnyPath, repo: str, folder: Path, license_name: str = "other"
) -> None:
    """Writes weights, config, preprocessing and a model card of a finished run.

    Raises:
      ValueError: the run is not finished, or `folder` is there already.
    """
    check_repo(repo)
    if folder.exists():
        raise ValueError(f"{folder}: is there already; name a new folder")
    client = hub.package(repo)
    numbers = facts.of_run(workdir)
    network = classifier.from_run(workdir)
    with storage.written_folder(folder) as new:
        weights = new / hub.WEIGHTS
        weight_files.write_safetensors(weights, network)
        with open(weights, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        results.write_text(new / "SHA256SUMS", f"{digest}  {hub.WEIGHTS}\n")
        results.write_json(new / "config.json", numbers["config"])
        results.write_json(
            new / "preprocessor_config.json",
            dict(network.model.preprocessing) | {"resize": network.resize},
        )
        fields = card.front_matter(repo, license_name, numbers, client)
        text = f"---\n{fields}\n---\n{card.text(repo, numbers)}"
        results.write_text(new / "README.md", text)


def send(
    folder: Path,
    repo: str,
    *,
    private: bool = False,
    revision: str | None = None,
    message: str | None = None,
) -> Pushed:
    """Sends a folder in one commit; the repository is made where there is none.

    Raises:
      StorageError: the hub refuses it, or does not answer.
    """
    client: Any = hub.package(repo)
    api = client.HfApi()
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        if revision:
            api.create_branch(repo, branch=revision, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo,
            folder_path=folder,
            revision=revision,
            commit_message=message or "jaxart push",
        )
    except Exception as error:
        raise hub.one_line(f"hf://{repo}", error) from error
    return Pushed(commit.commit_url, commit.oid)
