"""What the gateway costs beside a bare proxy of the same framework, with everything on."""
