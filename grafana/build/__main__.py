"""Write every dashboard: `python -m grafana.build`."""

import json
from pathlib import Path

from grafana.build import credits, operations, tenant
from grafana.build.panels import dashboard

FOLDER = Path(__file__).parents[1] / "dashboards"
VIEWS = (credits.VIEW, tenant.VIEW, operations.VIEW)


def texts() -> dict[str, str]:
    """Every file's name and text."""
    made = {view.uid.removeprefix("dezgo-"): dashboard(view, VIEWS) for view in VIEWS}
    return {f"{name}.json": json.dumps(found, indent=1, ensure_ascii=False) + "\n" for name, found in made.items()}


def main() -> None:
    """Write the files."""
    for name, text in texts().items():
        (FOLDER / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
