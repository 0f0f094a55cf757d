"""What a plugin states of training recipes: a frozen record, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import PurePosixPath

from zoo.errors import SpecError
from zoo.registry.specs.fields import check_names


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeSpec:
    """A training recipe, for `zoo train NAME`. What it says is in its file alone.

    Attributes:
        name, aliases: what the user writes. As a rule a recipe is named like the model whose
            weights it makes.
        path: where the TOML file is, as `"package:file"`.
    """

    name: str
    path: str
    aliases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_names("RecipeSpec", self.name, self.aliases)
        package, colon, file = str(self.path).partition(":")
        if not (package and colon and file.endswith(".toml")):
            raise SpecError(
                f"path={self.path!r} is not of the form 'package:file.toml'",
                where=f"RecipeSpec({self.name!r})",
                remedy=f'path="my_package:recipes/{self.name}.toml"',
            )

    @classmethod
    def in_folder(cls, package: str, folder: str = "recipes") -> list[RecipeSpec]:
        """A spec for each TOML file in a folder of a package, named like the file."""
        files = (resources.files(package) / folder).iterdir()
        names = sorted(file.name for file in files if file.name.endswith(".toml"))
        return [
            cls(name=PurePosixPath(name).stem, path=f"{package}:{folder}/{name}") for name in names
        ]

    def read(self) -> bytes:
        """The text of the file.

        Raises:
            OSError, ImportError: it is not there.
        """
        package, _, file = self.path.partition(":")
        return (resources.files(package) / file).read_bytes()

    def missing(self) -> str:
        """Why the file cannot be there, or an empty string. It is not opened."""
        package, _, file = self.path.partition(":")
        try:
            there = (resources.files(package) / file).is_file()
        except (Exception, SystemExit) as error:
            return f"package {package} of path {self.path!r} cannot be found ({error})"
        return "" if there else f"there is no file {file} in {package} (path {self.path!r})"
