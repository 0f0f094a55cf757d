"""`zoo list`: names as plain text, without torch."""

from __future__ import annotations

import click

from zoo import catalogue
from zoo.cli.output import echo_json, json_option


@click.command()
@click.argument("pattern", default="*")
@click.option("--attentions", "what", flag_value="attentions", help="List attention mechanisms.")
@click.option("--backbones", "what", flag_value="backbones", help="List backbones.")
@click.option("--composed", is_flag=True, help="Models: every attention in every backbone too.")
@click.option("--pretrained", is_flag=True, help="Only those with weights to load.")
@click.option("--family", default="", help="Only models or attentions of this family.")
@json_option
def command(
    pattern: str, what: str | None, composed: bool, pretrained: bool, family: str, as_json: bool
) -> None:
    """List names that match PATTERN (as in a shell, "*cbam*").

    Named models by default. Any attention goes by name into any backbone that can take it:
    <attention>_<backbone>, as in eca_convnext_tiny.
    """
    if what == "attentions":
        found = catalogue.list_attentions(pattern, family=family)
    elif what == "backbones":
        found = catalogue.list_backbones(pattern, pretrained=pretrained)
    else:
        found = catalogue.list_models(
            pattern, pretrained=pretrained, family=family, composed=composed
        )
    if as_json:
        echo_json(found)
    elif found:
        click.echo("\n".join(found))
    else:
        click.echo(f"nothing matches {pattern!r}", err=True)
