"""A budget-aware gateway to the Dezgo image API.

    Two doors, a hall, two wings.

           client                                                       upstream
             │  JWT                                                        ▲  master key
             ▼                                                             │
    ┌──── web ────┐   ┌─ identity ─┐  ┌─ parse ─┐                     ┌─ proxy ─┐
    │ front door  │──▶│ token → who│─▶│ body→Job│──┐               ┌─▶│back door│
    └─────────────┘   └────────────┘  └─────────┘  ▼               │  └─────────┘
           ▲                                   ┌─ exchange ─┐      │
           └── headers, problems ◀─────────────│  the hall  │──────┘
                                               └──┬──────┬──┘
                             what does it cost?   ▼      ▼   who may still spend?
                                            ┌ pricing ┐┌ ledger ┐
                                            │  wing 1 ││ wing 2 │──▶ Redis / Valkey
                                            └─────────┘└────────┘

`app` builds and joins the parts, `cli` starts it. The wings do not know each other, nor that HTTP exists.
"""

__version__ = "0.1.0"
