"""Closed forms of networks, exact up to rounding, in operations that export well and run fast in ONNX Runtime."""
