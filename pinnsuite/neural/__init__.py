"""Learned solvers on torch: physics-informed networks, operators, dynamics."""
