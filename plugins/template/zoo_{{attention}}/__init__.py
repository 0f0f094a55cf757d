"""What this plugin offers. No torch here: the target is imported when it is first built."""

import zoo


@zoo.hookimpl
def zoo_attentions() -> list[zoo.AttentionSpec]:
    return [
        zoo.AttentionSpec(
            name="{{attention}}",
            target="zoo_{{attention}}.attention:{{class_name}}",
            family="channel",
            insertion=zoo.Insertion(identity="exact"),
        )
    ]


@zoo.hookimpl
def zoo_recipes() -> list[zoo.RecipeSpec]:
    return [
        zoo.RecipeSpec(
            name="{{attention}}_resnet18_cifar10", path="zoo_{{attention}}:recipe.toml"
        )
    ]
