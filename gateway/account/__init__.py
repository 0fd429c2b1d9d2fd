"""The shared account: can it bear one more call, and does its balance say what we were told? Pure: time is given.

`guard` admits, `belief` puts balances in order, `watch` compares them with what calls reported, `findings` are what
comes out.
"""
