"""Build: dashboards as values -> Grafana's JSON. `python -m grafana.build` writes the files in `grafana/dashboards`."""
