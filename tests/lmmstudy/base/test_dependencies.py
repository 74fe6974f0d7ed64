"""One list of packages: pyproject.toml, environment.yml and requirements.lock agree."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]


def name(requirement: str) -> str:
    """The normalised name at the start of a requirement."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def declared() -> dict[str, str]:
    """Name and lower bound of every package that pyproject.toml asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    for extra in ("docs", "slurm", "test"):  # not "bench", which is not in the lock
        wanted += project["project"]["optional-dependencies"][extra]
    return {name(item): item.split(">=")[1] for item in wanted}


def conda(path: str) -> dict[str, str]:
    packages = yaml.safe_load((ROOT / path).read_text("utf-8"))["dependencies"]
    bounds = {name(item): item.split(">=")[-1] for item in packages if isinstance(item, str)}
    return {package: bound for package, bound in bounds.items() if package not in ("python", "pip")}


def locked() -> dict[str, list[str]]:
    text = (ROOT / "requirements.lock").read_text("utf-8")
    versions: dict[str, list[str]] = {}
    for package, version in re.findall(r"^([\w.-]+)==([\w.]+)", text, flags=re.MULTILINE):
        versions.setdefault(name(package), []).append(version)
    return versions


def test_conda_environment_names_the_same_packages_and_bounds():
    assert conda("environment.yml") == declared()


def test_environment_of_the_rules_is_part_of_it():
    assert conda("workflow/envs/lmm.yaml").items() <= declared().items()


def test_lock_pins_every_package_at_or_above_its_bound():
    def key(version: str) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"\d+", version))

    pins = locked()
    for package, bound in declared().items():
        assert pins.get(package), f"{package} is not in requirements.lock: run `make lock`"
        assert all(key(version) >= key(bound) for version in pins[package])


def test_lock_has_a_hash_for_every_pin_and_names_no_index():
    text = (ROOT / "requirements.lock").read_text("utf-8")
    blocks = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(blocks) == sum(map(len, locked().values()))
    assert all("--hash=sha256:" in block for block in blocks)
    assert not re.search(r"https?:|--index|--extra-index|--find-links|--trusted-host", text)


def test_every_third_party_import_is_declared():
    """Packages imported anywhere in lmmcore, lmmstudy and the scripts are in the list."""
    import ast
    import sys

    distributions = {"yaml": "pyyaml", "markupsafe": "jinja2"}
    for path in [*ROOT.glob("lmm*/**/*.py"), *ROOT.glob("workflow/scripts/*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            for package in {item.split(".")[0] for item in names}:
                own = package in ("lmmcore", "lmmstudy", "binding")
                if not own and package not in sys.stdlib_module_names:
                    assert distributions.get(package, package) in declared(), f"{path}: {package}"
