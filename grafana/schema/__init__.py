"""Schema: what a dashboard's file may hold, made from Grafana's own published types."""
