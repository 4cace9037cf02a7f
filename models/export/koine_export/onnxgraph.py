"""From a torch module to an ONNX file that is the same every time, holds no trace of the machine, and sums where it should."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import onnx

from .family import INPUTS, ExportError

if TYPE_CHECKING:
    import torch

OPSET = 18


def to_onnx(module: torch.nn.Module, example: Mapping[str, np.ndarray], outputs: Sequence[str]) -> onnx.ModelProto:
    """Exports a module by ``torch.export``: the older TorchScript exporter drops the reduction of ``index_add``. ``example``
    holds the inputs in the order of ``forward``, with more than one atom, edge and structure, so that no size is taken for 1.
    """
    import torch

    sizes = {
        name: torch.export.Dim(name)
        for name in {size for key in example for size in INPUTS[key][1] if isinstance(size, str)}
    }
    dynamic = tuple(
        {axis: sizes[size] for axis, size in enumerate(INPUTS[key][1]) if isinstance(size, str)} for key in example
    )
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module,
                tuple(torch.from_numpy(value) for value in example.values()),
                dynamo=True,
                opset_version=OPSET,
                input_names=list(example),
                output_names=list(outputs),
                dynamic_shapes=dynamic,
                optimize=True,
                verbose=False,
            )
    except Exception as error:
        raise ExportError(
            "export_failed",
            f"torch.onnx.export: {type(error).__name__}: {error}",
            "this is a defect of the family module: report it with this message",
        ) from error
    buffer = io.BytesIO()
    program.save(buffer)
    return onnx.load_from_string(buffer.getvalue())


def tidied(model: onnx.ModelProto, outputs: Mapping[str, tuple[int | str, ...]]) -> onnx.ModelProto:
    """Drops stack traces, paths and shape notes, names the sizes of inputs and outputs by the contract, states the producer
    without a version, and checks the result.
    """
    for message in _messages(model.graph):
        for field in ("metadata_props", "doc_string", "value_info", "quantization_annotation"):
            if field in message.DESCRIPTOR.fields_by_name:
                message.ClearField(field)
    for field in ("metadata_props", "doc_string", "model_version", "producer_version"):
        model.ClearField(field)
    model.producer_name = "koine"
    model.graph.name = "koine"
    for index, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{index}"
    for value in (*model.graph.input, *model.graph.output):
        shape = INPUTS[value.name][1] if value.name in INPUTS else outputs[value.name]
        kind = value.type.tensor_type
        kind.ClearField("shape")
        for size in shape:
            dimension = kind.shape.dim.add()
            if isinstance(size, str):
                dimension.dim_param = size
            else:
                dimension.dim_value = size
    onnx.checker.check_model(model, full_check=True)
    check_scatters(model)
    return model


def check_scatters(model: onnx.ModelProto) -> None:
    """Every scatter must add up what goes to the same place: an exporter that loses the reduction writes a valid file with
    wrong numbers. Each kind that occurs is also run with duplicate indices.
    """
    kinds = set()
    for node in model.graph.node:
        if not node.op_type.startswith("Scatter"):
            continue
        reduction = next((a.s.decode() for a in node.attribute if a.name == "reduction"), "none")
        if reduction == "none":
            raise ExportError(
                "export_failed",
                f"{node.op_type} '{node.name}' keeps one of several values with equal indices instead of their sum",
                "sum with index_add or scatter_add in the wrapper, exported by dynamo",
            )
        kinds.add((node.op_type, reduction))
    for kind, reduction in sorted(kinds):
        if reduction == "add" and not _adds_duplicates(kind):
            raise ExportError(
                "export_failed",
                f"ONNX Runtime's {kind}(add) loses values with equal indices",
                "use another release of onnxruntime",
            )


def _adds_duplicates(kind: str) -> bool:
    from onnx import TensorProto, helper, numpy_helper

    indices = np.array([[1], [1], [1]], dtype=np.int64)
    node = helper.make_node(
        kind,
        ["data", "indices", "updates"],
        ["sum"],
        reduction="add",
        **({"axis": 0} if kind == "ScatterElements" else {}),
    )
    graph = helper.make_graph(
        [node],
        "duplicates",
        [helper.make_tensor_value_info("updates", TensorProto.FLOAT, [3, 1])],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, [2, 1])],
        [numpy_helper.from_array(np.zeros((2, 1), np.float32), "data"), numpy_helper.from_array(indices, "indices")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    (total,) = session(model).run(None, {"updates": np.array([[1], [2], [4]], np.float32)})
    return total.tolist() == [[0], [7]]


def session(model: onnx.ModelProto | bytes):
    """ONNX Runtime as koine runs it: CPU, one thread, since ScatterND(add) is a data race with more."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    data = model if isinstance(model, bytes) else model.SerializeToString()
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _messages(graph: onnx.GraphProto) -> Iterator:
    yield graph
    for part in (graph.input, graph.output, graph.initializer, graph.node):
        yield from part
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _messages(attribute.g)
            elif attribute.type == onnx.AttributeProto.TENSOR:
                yield attribute.t
