"""Parse: a method's tariff entry, a content type and body bytes become one Job, or a refusal. Pure.

1. The body is forwarded byte for byte, so whatever a price depends on must read alike for every reader upstream.
   Where two readers could differ, the request is refused; nothing is guessed, repaired or written anew.
2. What no price depends on is never judged beyond what finding the priced fields takes.
3. No I/O, no clock, no third-party package. Every loop has a bound; only errors out of `gateway.errors` leave.

`read.read_job` is the way in.
"""
