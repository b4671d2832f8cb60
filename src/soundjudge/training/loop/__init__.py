"""The only optimizer loop: devices, precision, schedule, exact resume."""
