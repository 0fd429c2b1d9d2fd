"""Make `dashboard.schema.json` anew: `python -m grafana.schema`. Needs node and npm; nothing else here does."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
SOURCE, MADE = FOLDER / "dashboard.ts", FOLDER / "dashboard.schema.json"

# Grafana's published types (Apache-2.0), and what reads them (MIT). Exact: the same file again.
TYPES = "@grafana/schema@13.2.3"
GENERATOR = "ts-json-schema-generator@2.10.0"

_COMPILER = {"module": "esnext", "moduleResolution": "node", "target": "es2022", "strict": True, "skipLibCheck": True}
_WITHIN_S = 600
_ORIGIN = (
    f"Made by `python -m grafana.schema` with {GENERATOR} from the types of {TYPES}, "
    "Copyright Grafana Labs, Apache License 2.0: see LICENSE_APACHE2. Changed: made into a schema, without its prose."
)


def main() -> None:
    """Write the file."""
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is not installed")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        shutil.copyfile(SOURCE, folder / SOURCE.name)
        (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": _COMPILER}), "utf-8")
        (folder / "package.json").write_text('{"private": true}', "utf-8")
        _run(folder, npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", TYPES, GENERATOR)
        generator = folder / "node_modules" / ".bin" / "ts-json-schema-generator"
        asked = ("--path", SOURCE.name, "--type", "Dashboard", "--tsconfig", "tsconfig.json", "--jsDoc", "extended")
        said = _run(folder, str(generator), *asked, "--no-type-check", "--minify")
    MADE.write_text(text_of(json.loads(said)), "utf-8")


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, timeout=_WITHIN_S, check=True)  # noqa: S603 - ours
    return done.stdout.decode()


def text_of(schema: Any) -> str:
    """As it stands in the file: one type a line, so that a newer version can be compared."""
    bare = _without_prose(schema)
    types = (f"{json.dumps(name)}: {json.dumps(found)}" for name, found in sorted(bare.pop("definitions").items()))
    head = {"$schema": bare.pop("$schema"), "$comment": _ORIGIN, **bare}
    return f'{json.dumps(head, indent=1)[:-2]},\n "definitions": {{\n  ' + ",\n  ".join(types) + "\n }\n}\n"


def _without_prose(item: Any) -> Any:
    """A schema without descriptions; a property of that name is an object, and stays."""
    if isinstance(item, dict):
        return {
            name: _without_prose(value)
            for name, value in item.items()
            if not (name in {"description", "title"} and isinstance(value, str))
        }
    return [_without_prose(value) for value in item] if isinstance(item, list) else item


if __name__ == "__main__":
    main()
