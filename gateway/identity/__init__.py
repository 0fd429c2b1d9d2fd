"""Identity: from a token to the Principal it proves.

The only room that knows JWT. A token is read strictly (`preparse`) before anything else looks at it, verified by a
key of the issuer it names (`verify`, `keys`, `jwks`), and its claims become a Principal by configuration
(`claims`). Whether the tenant has a budget is decided elsewhere.
"""
