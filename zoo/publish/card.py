"""A model card: the metadata of the Hub, and what a reader must know, from facts that are given."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo.publish.records import is_accuracy, is_whole, skipped

_DATASET = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a card says.

    Attributes:
        repository, model, sha256: what the weights are, and where.
        info: as `zoo.model_info` gives it.
        config: as in `config.json`.
        records: records of `zoo eval`, checked against these weights.
        recipe: the text of the recipe that trained the weights.
        data: what they were trained on.
        untrained: the backbone whose weights these are, if the attention was not trained.
        picture: the file name of a picture in the repository.
    """

    repository: str
    model: str
    sha256: str
    info: Mapping[str, Any]
    config: Mapping[str, Any]
    records: Sequence[Mapping[str, Any]] = ()
    recipe: str = ""
    data: str = ""
    license: str = ""
    untrained: str = ""
    picture: str = ""
    versions: Mapping[str, str] = field(default_factory=dict[str, str])


def render(facts: Facts) -> str:
    """The README.md of the repository."""
    sections = (
        f"---\n{_metadata(facts)}\n---",
        f"# {facts.repository.rpartition('/')[2]}\n\n{_what(facts)}",
        f"![{facts.model}]({facts.picture})" if facts.picture else "",
        _USE.format(
            repository=facts.repository,
            model=facts.model,
            packages=packages_needed(facts.config.get("packages", ())),
        ),
        f"## Measured\n\n{_measured(facts)}",
        f"## Training\n\n{_training(facts)}",
        f"## Limits\n\n{_limits(facts)}",
        _paper(facts.info.get("paper")),
        f"## Integrity\n\n`model.safetensors` has sha256 `{facts.sha256}`.",
    )
    return "\n\n".join(section for section in sections if section) + "\n"


def packages_needed(packages: Sequence[str]) -> str:
    """A paragraph that says which packages of others must be installed, if any."""
    if not packages:
        return ""
    return f"It needs a plugin of the zoo:\n\n```sh\npip install {' '.join(packages)}\n```\n\n"


_USE = """## Use

{packages}```python
import zoo

model = zoo.create_model("hf-hub:{repository}", pretrained=True)
```

With timm:

```python
import timm
import zoo.timm_bridge

zoo.timm_bridge.register("{model}")
model = timm.create_model("hf-hub:{repository}", pretrained=True)
```"""


def _metadata(facts: Facts) -> str:
    from huggingface_hub import EvalResult, ModelCardData, constants

    home = f"{constants.ENDPOINT}/{facts.repository}/blob/main/records"

    results = [
        EvalResult(
            task_type="image-classification",
            dataset_type=record["data"]["name"],
            dataset_name=record["data"]["name"],
            dataset_split=record["data"].get("split"),
            metric_type="accuracy" if is_accuracy(key) else key,
            metric_name=key,
            metric_value=value,
            source_name="zoo eval",
            source_url=f"{home}/{number}.json",
        )
        for number, record in enumerate(facts.records)
        if is_whole(record)
        for key, value in record["metrics"].items()
    ]
    tags = ("image-classification", "timm", "attention-zoo", facts.info.get("attention"))
    data = ModelCardData(
        library_name="timm",
        pipeline_tag="image-classification",
        tags=[tag for tag in tags if tag],
        license=facts.license or "unknown",
        datasets=[facts.data.lower()] if _DATASET.match(facts.data.lower()) else None,
        model_name=facts.repository.rpartition("/")[2] if results else None,
        eval_results=results or None,
    )
    return data.to_yaml()


def _what(facts: Facts) -> str:
    info = facts.info
    if info.get("attention") and info.get("backbone"):
        text = f"`{facts.model}`: {info['attention']} attention in {info['backbone']}"
    else:
        text = f"`{facts.model}`"
    return f"{text}, {facts.config.get('num_classes')} classes. {info.get('notes', '')}".strip()


def _measured(facts: Facts) -> str:
    if not facts.records:
        return "Nothing is claimed: no record of an evaluation was given."
    rows = ["| data | split | images | skipped | metric | value |", "|---|---|---|---|---|---|"]
    for record in facts.records:
        data = record["data"]
        count = f"first {data['count']}" if data.get("limit") else data["count"]
        start = f"{data['name']} | {data.get('split', '')} | {count} | {skipped(record)}"
        rows += [f"| {start} | {key} | {value:g} |" for key, value in record["metrics"].items()]
    return "\n".join([*rows, "", "By `zoo eval` on these very weights; the records are beside."])


def _training(facts: Facts) -> str:
    if facts.untrained:
        return (
            f"The attention is untrained. The other weights are those of {facts.untrained}, and the"
            " attention starts so that the logits are theirs."
        )
    on = f"On {facts.data}. " if facts.data else ""
    if facts.recipe:
        return f"{on}By `zoo train recipe.toml`:\n\n```toml\n{facts.recipe.strip()}\n```"
    return f"{on}The recipe was not given."


def _limits(facts: Facts) -> str:
    size = facts.config.get("pretrained_cfg", {}).get("input_size")
    shape = "x".join(map(str, size)) if size else "its own size"
    lines = [
        f"- It knows {facts.config.get('num_classes')} classes and answers with one of them for"
        " any image.",
        f"- It expects images of {shape}, prepared as `config.json` says; elsewhere it has not"
        " been measured.",
    ]
    if not all(map(is_whole, facts.records)):
        lines.append(
            "- A figure that was measured on a part of a data set is no result on that data set:"
            " the Hub is told only of whole ones."
        )
    if facts.records:
        lines.append("- The figures hold for the data named above and say nothing of other data.")
    if not facts.license:
        lines.append("- No licence was given for the weights.")
    return "\n".join(lines)


def _paper(paper: Mapping[str, Any] | None) -> str:
    if not paper:
        return ""
    source = ", ".join(str(paper[k]) for k in ("authors", "venue", "year") if paper.get(k))
    return f"## Paper\n\n[{paper['title']}]({paper['url']}). {source}".rstrip()
