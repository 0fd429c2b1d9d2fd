"""What Prometheus makes of the gateway's metrics: rules, alerts, dashboards."""
