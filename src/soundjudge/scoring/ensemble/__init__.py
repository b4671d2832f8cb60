"""Members' predictions to one score: joins, weights, calibration."""
