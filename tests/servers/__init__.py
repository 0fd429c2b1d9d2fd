"""Real stores on loopback that tests can hurt: single nodes, replicated pairs, Sentinels, clusters, and wires to cut.

Rules of this package: nothing outlives the test run (each server dies with the thread that started it, Linux); every
wait has a bound; nothing is written to the terminal. All of it is synchronous: a test with a loop to keep alive takes
the waits (never the starts) to another thread.
"""
