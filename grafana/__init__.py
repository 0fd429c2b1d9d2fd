"""Dashboards, and the script that makes them."""
