"""ONNX Runtime's side of bench/embed.ts: runs ready-made batches with sessions of one thread each."""

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import onnxruntime as ort

local = threading.local()


def session(path):
    if getattr(local, "path", None) != path:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        local.path, local.session = path, ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return local.session


def run(path, feeds):
    return session(path).run(["node_embedding"], feeds)[0]


pools, batches = {}, []
for line in sys.stdin:
    ask = json.loads(line)
    if "load" in ask:
        data = Path(ask["load"]).read_bytes()
        batches = [
            {
                t["name"]: np.frombuffer(data, t["type"], int(np.prod(t["shape"])), t["at"]).reshape(t["shape"])
                for t in batch
            }
            for batch in ask["batches"]
        ]
        answer = {"batches": len(batches)}
    else:
        threads = ask["threads"]
        pool = pools.setdefault(threads, ThreadPoolExecutor(threads))
        start = perf_counter()
        outputs = list(pool.map(partial(run, ask["model"]), batches))
        seconds = perf_counter() - start
        np.concatenate(outputs).astype("<f4").tofile(ask["out"])
        answer = {"seconds": seconds, "version": ort.__version__}
    print(json.dumps(answer), flush=True)
