"""Solvers with a declared order of accuracy, and the classical side of signals."""
