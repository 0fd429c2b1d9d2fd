"""Real programs' calls, replayed through a running gateway over real sockets.

Each shape is a call some program really makes. It is sent twice: once through the gateway with a token, once straight
to a twin of the upstream with the twin's own key. The program must not be able to tell the difference, and the money
must agree in the quote, the ledger and the upstream's book.

Calls from browsers are replayed without the preflight before them: the gateway answers none, cross-origin use is off.
"""
