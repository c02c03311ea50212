"""Traces: held-out distances along a search or a tuning, against its cost."""
