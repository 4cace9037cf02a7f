"""Turns official checkpoints of interatomic potentials into koine models: an ONNX encoder, its card and its native reference.

``python -m koine_export`` is the command line (``__main__``), ``harness.export`` the order of work, ``family`` the protocol
that a module of ``families`` fulfils. Each family runs in an environment of its own (``environments/<name>.lock``).
"""
