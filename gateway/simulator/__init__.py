"""The simulator: a stand-in for the Dezgo upstream with books of its own, for demos, tests and load.

What this room must not know: anything of the rest of the gateway. It imports nothing from outside itself
and prices by its own reading of the published formulas, so that agreement between the two proves something.
"""

from gateway.simulator.app import Simulator, build_simulator, start_simulator
from gateway.simulator.settings import SimulatorSettings

__all__ = ["Simulator", "SimulatorSettings", "build_simulator", "start_simulator"]
