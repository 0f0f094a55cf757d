import pytest
import zoo_{{attention}}

import zoo
from zoo import testing


@pytest.mark.parametrize("check", testing.CHECKS, ids=lambda check: check.__name__)
def test_conformance(check):
    check("{{attention}}")


def test_plugin():
    testing.check_plugin(zoo_{{attention}})


def test_recipe():
    assert zoo.load_recipe("{{attention}}_resnet18_cifar10").last.model == "{{attention}}_resnet18"


def test_in_a_backbone():
    model = zoo.create_model("{{attention}}_resnet18", num_classes=10)
    assert any(type(module).__name__ == "{{class_name}}" for module in model.modules())
