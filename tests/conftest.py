"""For every test: no verdict by the clock. A busy machine is no defect, and hypothesis would call it one."""

from hypothesis import HealthCheck, settings

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
