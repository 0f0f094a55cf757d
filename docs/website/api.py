"""The reference of the API: which objects stand on which page; mkdocstrings writes it."""

from __future__ import annotations

PAGES = {
    "models": ("Models and attentions", [
        "zoo.build.create.create_model", "zoo.build.create.create_attention",
        "zoo.weights.model_file.save_model",
    ]),
    "your-model": ("Attention in any model", [
        "zoo.hosts.add.add_attention", "zoo.hosts.add.remove_attention",
        "zoo.hosts.freeze.attention_parameters", "zoo.hosts.sites.list_sites",
        "zoo.adapters.save.save_attention", "zoo.adapters.load.load_attention",
    ]),
    "catalogue": ("Listings", ["zoo.registry.catalogue"]),
    "specs": ("What a plugin states", [
        "zoo.registry.specs.attention", "zoo.registry.specs.model", "zoo.registry.specs.options",
        "zoo.registry.specs.provenance", "zoo.registry.specs.weights", "zoo.registry.specs.recipe",
        "zoo.registry.hookspecs",
        "zoo.registry.Registry",
    ]),
    "sdk": ("For authors of mechanisms", ["zoo.sdk"]),
    "testing": ("The conformance kit", ["zoo.testing"]),
    "evaluation": ("Measuring", ["zoo.evaluation"]),
    "training": (
        "Training",
        [
            "zoo.recipes.recipe", "zoo.recipes.tables", "zoo.recipes.staged",
            "zoo.training.objective",
        ],
    ),
    "errors": ("Errors", ["zoo.errors"]),
}  # fmt: skip


def pages() -> dict[str, str]:
    """Each page of the reference as Markdown, by its name."""
    found = {f"api/{name}.md": _page(title, objects) for name, (title, objects) in PAGES.items()}
    links = "\n".join(f"- [{title}]({name}.md)" for name, (title, _) in PAGES.items())
    intro = "The public names of `zoo`, from their docstrings. They are imported from `zoo` itself."
    return {"api/index.md": f"# API\n\n{intro}\n\n{links}\n", **found}


def _page(title: str, objects: list[str]) -> str:
    return f"# {title}\n\n" + "\n\n".join(f"::: {name}" for name in objects) + "\n"
