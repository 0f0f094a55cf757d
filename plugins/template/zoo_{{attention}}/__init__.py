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
