"""hone's ops on a GPU beside PyTorch's at the same shapes, as a Markdown table. Started by scripts/gpu-check.

    gpu.py [--hone build-gpu/bin/hone] [--device cuda] [--rounds 2] [--repeat 50] [--families norm,linear,...]

`hone bench FAMILY` and PyTorch take turns (a round is one of each), so that both meet the same clocks; medians of the
rounds' medians. PyTorch computes on normal random data and its L2 cache is flushed before every repetition; products are
cuBLAS's, attention is the fastest of cuDNN, flash and memory-efficient SDPA, each asked for by name, and optimizer is the
fused AdamW. A result of PyTorch is held against fp64 before it is timed. Ops without a fair twin are left out.
"""
import argparse
import json
import re
import statistics
import subprocess
import sys

import torch
import torch.nn.functional as F

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
BOUND = {torch.float32: 1e-3, torch.bfloat16: 4e-2, torch.float16: 1e-2}


def numbers(case):
    """Extents and settings of a case's name: D=384 N=4096 p=0.1 q=32x32."""
    return {k: float(v) if "." in v else int(v) for k, v in re.findall(r"\b([A-Za-z]+)=(\d+(?:\.\d+)?)(?![\dx])", case)}


class Bench:
    def __init__(self, device, repeat):
        self.device, self.repeat = "cuda" if device == "cuda" else "cpu", repeat
        self.flush = torch.empty(256 << 20 if self.device == "cuda" else 1, dtype=torch.int8, device=self.device)

    def rand(self, *shape, dtype=torch.float32, grad=False):
        return torch.randn(*shape, device=self.device).to(dtype).requires_grad_(grad)

    def median_us(self, fn):
        for _ in range(5): fn()
        times = []
        for _ in range(self.repeat):
            self.flush.zero_()
            if self.device == "cuda":
                begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
                begin.record(); fn(); end.record(); end.synchronize()
                times.append(begin.elapsed_time(end) * 1e3)
            else:
                import time
                before = time.perf_counter(); fn()
                times.append((time.perf_counter() - before) * 1e6)
        return statistics.median(times)


def backward_of(y, inputs, dy):
    return lambda: torch.autograd.grad(y, inputs, dy, retain_graph=True)


def near(a, b, dtype, what):
    """PyTorch's own result against fp64, relative to the largest value."""
    error = ((a.double() - b).abs().max() / b.abs().max()).item()
    if not error <= BOUND[dtype]: raise RuntimeError("%s: PyTorch is off by %g" % (what, error))


def attention(b, n, dtype, is_backward):
    from torch.nn.attention import SDPBackend, sdpa_kernel
    q = b.rand(n["B"], n["H"], n["S"], n["K"], dtype=dtype, grad=True)
    k, v = (b.rand(n["B"], n["G"], n["S"], n["K"], dtype=dtype, grad=True) for _ in range(2))
    p = n.get("p", 0.0)
    exact = torch.softmax(q.double() @ k.double().transpose(-1, -2) / n["K"] ** 0.5, -1) @ v.double()
    best = None
    for backend in (SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH):
        try:
            with sdpa_kernel(backend):
                near(F.scaled_dot_product_attention(q, k, v), exact, dtype, "attention")
                y = F.scaled_dot_product_attention(q, k, v, dropout_p=p)
                fn = backward_of(y, (q, k, v), torch.randn_like(y)) if is_backward else \
                    lambda: F.scaled_dot_product_attention(q, k, v, dropout_p=p)
                us = b.median_us(fn)
        except RuntimeError: # not for this type, width or machine
            continue
        if best is None or us < best[0]: best = (us, "SDPA, " + backend.name.lower().replace("_attention", ""))
    return best


def linear(b, op, n, dtype):
    x, w, dy = b.rand(n["N"], n["I"], dtype=dtype), b.rand(n["O"], n["I"], dtype=dtype), b.rand(n["N"], n["O"], dtype=dtype)
    fn = {"LINEAR_FWD": lambda: x @ w.t(), "LINEAR_BWD": lambda: dy @ w, "LINEAR_BWD_W": lambda: dy.t() @ x}[op]
    exact = {"LINEAR_FWD": lambda: x.double() @ w.double().t(), "LINEAR_BWD": lambda: dy.double() @ w.double(),
             "LINEAR_BWD_W": lambda: dy.double().t() @ x.double()}[op]
    near(fn(), exact(), dtype, op)
    return b.median_us(fn), "cuBLAS, the product alone"


def norm(b, n, dtype, is_backward):
    x, res = (b.rand(n["N"], n["D"], dtype=dtype, grad=True) for _ in range(2))
    bias, g, beta = (b.rand(n["D"], dtype=dtype, grad=True) for _ in range(3))
    exact = F.layer_norm(x.double(), (n["D"],), g.double(), beta.double())
    near(F.layer_norm(x, (n["D"],), g, beta), exact, dtype, "norm")

    def block(x, res, bias, g, beta):
        return F.layer_norm(F.dropout(x + bias, n.get("p", 0.0)) + res, (n["D"],), g, beta)
    how = "eager"
    if b.device == "cuda":
        try:
            compiled = torch.compile(block)
            compiled(x, res, bias, g, beta)
            block, how = compiled, "torch.compile"
        except Exception: # no Triton here: eager it is, and named
            pass
    y = block(x, res, bias, g, beta)
    fn = backward_of(y, (x, res, bias, g, beta), torch.randn_like(y)) if is_backward else lambda: block(x, res, bias, g, beta)
    return b.median_us(fn), "bias, dropout, residual, norm: " + how


def activation(b, op, n, dtype):
    x = b.rand(n["N"], n["F"], dtype=dtype, grad=True)
    form = {1: "none", 2: "tanh"}.get(n.get("kind"))
    if not form: return None
    y = F.gelu(x, approximate=form)
    near(y, F.gelu(x.double(), approximate=form), dtype, "gelu")
    fn = backward_of(y, (x,), torch.randn_like(y)) if op == "ACT_BWD" else lambda: F.gelu(x, approximate=form)
    return b.median_us(fn), "gelu"


def loss(b, n, dtype):
    x, label = b.rand(n["M"], n["C"], dtype=dtype, grad=True), torch.randint(0, n["C"], (n["M"],), device=b.device)
    near(F.cross_entropy(x, label), F.cross_entropy(x.double(), label), dtype, "cross-entropy")
    return b.median_us(lambda: torch.autograd.grad(F.cross_entropy(x, label), x)), "cross_entropy, forward and backward"


def rival(b, row):
    """PyTorch's time for the row's op and shape, and what it was; None where there is no twin."""
    op, n, dtype = row["op"], numbers(row["case"]), TYPES[row["dtype"]]
    found = re.search(r"\bq=(\d+)x(\d+)\b", row["case"])
    if op.startswith("ATTENTION_") and found and "full" in row["case"].split():
        return attention(b, dict(n, S=int(found[1]), B=int(found[2])), dtype, op.endswith("BWD"))
    if op.startswith("LINEAR_"): return linear(b, op, n, dtype)
    if op.startswith("NORM_"): return norm(b, n, dtype, op.endswith("BWD"))
    if op in ("ACT_FWD", "ACT_BWD"): return activation(b, op, n, dtype)
    if op == "XENT": return loss(b, n, dtype)
    if op == "SOFTMAX_FWD":
        x = b.rand(n["M"], n["C"], dtype=dtype)
        return b.median_us(lambda: torch.softmax(x, -1)), "softmax"
    if op == "GATHER":
        x, at = b.rand(n["N"], n["D"], dtype=dtype), torch.randint(0, n["N"], (n["M"],), device=b.device)
        return b.median_us(lambda: x.index_select(0, at)), "index_select"
    if op == "ADAMW_STEP":
        w = b.rand(n["P"], grad=True)
        w.grad = torch.randn_like(w)
        o = torch.optim.AdamW([w], fused=True)
        return b.median_us(o.step), "fused AdamW"
    if op == "COPY":
        names = re.search(r"(\w+) to (\w+)", row["case"])
        x = b.rand(n["P"], dtype=TYPES[names[1]])
        y = torch.empty(n["P"], dtype=TYPES[names[2]], device=b.device)
        return b.median_us(lambda: y.copy_(x)), "copy_"
    return None


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--hone", default="build-gpu/bin/hone")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=50)
    parser.add_argument("--families", default="convert,norm,linear,act,attention,gather,softmax,loss,optim")
    a = parser.parse_args()
    torch.manual_seed(1)
    b = Bench(a.device, a.repeat)
    where = torch.cuda.get_device_name() if b.device == "cuda" else "the CPU"
    print("hone beside PyTorch %s on %s, medians in microseconds\n" % (torch.__version__, where))
    print("| op | case | hone us | PyTorch us | PyTorch by hone | PyTorch's way |\n|---|---|---|---|---|---|")
    for family in a.families.split(","):
        ours, theirs, way, rows = {}, {}, {}, []
        for _ in range(a.rounds):
            said = subprocess.run([a.hone, "bench", family, "--device", a.device, "--json"], stdout=subprocess.PIPE)
            if said.returncode: sys.exit("hone bench %s ended with %d" % (family, said.returncode))
            rows = json.loads(said.stdout)["rows"]
            for i, row in enumerate(rows):
                if not row["pass"]: sys.exit("%s %s failed its check" % (row["op"], row["case"]))
                ours.setdefault(i, []).append(row["cold_us" if b.device == "cuda" else "median_us"])
                found = rival(b, row)
                if found: theirs.setdefault(i, []).append(found[0]); way[i] = found[1]
        for i, row in enumerate(rows):
            if i not in theirs: continue
            mine, other = statistics.median(ours[i]), statistics.median(theirs[i])
            print("| %s | %s | %.1f | %.1f | %.2f | %s |" % (row["op"], row["case"], mine, other, other / mine, way[i]), flush=True)


main()
