"""The faults: what a person would have done wrong, and which safeguard must stop it."""

from tests.proof.catalogue.data import DATA_FAULTS
from tests.proof.catalogue.machine import MACHINE_FAULTS
from tests.proof.catalogue.monitoring import MONITORING_FAULTS
from tests.proof.catalogue.problem import PROBLEM_FAULTS
from tests.proof.catalogue.service import SERVICE_FAULTS
from tests.proof.catalogue.simulation import SIMULATION_FAULTS

FAULTS = (
    *DATA_FAULTS,
    *PROBLEM_FAULTS,
    *MACHINE_FAULTS,
    *SERVICE_FAULTS,
    *SIMULATION_FAULTS,
    *MONITORING_FAULTS,
)
