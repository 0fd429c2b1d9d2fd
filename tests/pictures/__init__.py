"""Pictures of the dashboards: real traffic through a real gateway, drawn with Grafana's own components."""
