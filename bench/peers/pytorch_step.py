"""A PyTorch training step that bench/step.ts runs beside ours.

Reads one JSON line with the case ({"model", "sizes", "threads", "mode": "eager" | "compile", "processorTime"}), answers
{"ready", "version", "prepareMs"}; then runs one step for each line that it gets and answers {"ms", "loss"}.
"""

import json
import os
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


DEVICE = os.environ.get("CODISTILL_TORCH_DEVICE", "cpu")
torch.set_default_device(DEVICE)


# Replaced by time.process_time where processor time is asked for.
now = time.perf_counter


def synchronise():
    """Waits for the device, where steps are only queued."""
    if DEVICE != "cpu":
        torch.cuda.synchronize()


class LayerNormLstm(nn.Module):
    """The layer-normalised LSTM of Ba, Kiros, Hinton 2016 (equations 20 to 22), as training/lstm-layer.ts has it."""

    def __init__(self, inputs, units):
        super().__init__()
        self.units = units
        self.input_weights = nn.Parameter(torch.empty(inputs, 4 * units).uniform_(-0.05, 0.05))
        self.input_norm = nn.LayerNorm(4 * units)
        self.recurrent_weights = nn.Parameter(torch.empty(units, 4 * units).uniform_(-0.05, 0.05))
        self.recurrent_gain = nn.Parameter(torch.ones(4 * units))
        self.cell_norm = nn.LayerNorm(units)

    def forward(self, x, hidden, cell):
        # The product with the input and its norm over all steps at once, as ours does.
        projected = self.input_norm(x @ self.input_weights)
        outputs = []
        for step in projected.unbind(0):
            recurrent = F.layer_norm(hidden @ self.recurrent_weights, (4 * self.units,), self.recurrent_gain)
            i, f, o, g = (step + recurrent).chunk(4, 1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            hidden = torch.sigmoid(o) * torch.tanh(self.cell_norm(cell))
            outputs.append(hidden)
        return torch.stack(outputs), hidden, cell


class LanguageModel(nn.Module):
    def __init__(self, vocabulary, embedding, units, layer_norm):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.layer_norm = layer_norm
        if layer_norm:
            self.layers = nn.ModuleList([LayerNormLstm(embedding, units), LayerNormLstm(units, units)])
        else:
            self.layers = nn.LSTM(embedding, units, num_layers=2)
        self.output = nn.Linear(units, vocabulary)

    def forward(self, tokens, state):
        x = self.embedding(tokens)
        if not self.layer_norm:
            x, state = self.layers(x, state)
            return self.output(x.flatten(0, 1)), state
        after = []
        for layer, (hidden, cell) in zip(self.layers, state):
            x, hidden, cell = layer(x, hidden, cell)
            after.append((hidden, cell))
        return self.output(x.flatten(0, 1)), after


def language_model(sizes, layer_norm):
    V, E, H, B, T = (sizes[name] for name in "VEHBT")
    model = LanguageModel(V, E, H, layer_norm)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    zeros = [torch.zeros(B, H) for _ in range(4)]
    if layer_norm:
        state = [(zeros[0], zeros[1]), (zeros[2], zeros[3])]
    else:
        state = (torch.zeros(2, B, H), torch.zeros(2, B, H))

    def forward(tokens, targets, state):
        logits, after = model(tokens, state)
        return F.cross_entropy(logits, targets), after

    def draw():
        tokens = torch.randint(V, (T, B))
        return tokens, torch.randint(V, (T * B,))

    def detach(value):
        if isinstance(value, torch.Tensor):
            return value.detach()
        return type(value)(detach(part) for part in value)

    def step(compiled):
        nonlocal state
        tokens, targets = draw()
        start = now()
        optimizer.zero_grad(set_to_none=True)
        loss, after = compiled(tokens, targets, state)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        state = detach(after)
        # Its value is there only when a device has done all that it was asked for.
        value = loss.item()
        synchronise()
        return (now() - start) * 1000, value

    return forward, step


def supervised(model, optimizer, loss_of, draw):
    """A step of a model without state: draw a batch, forward, backward, update."""

    def forward(x, y):
        return loss_of(model(x), y)

    def step(compiled):
        x, y = draw()
        start = now()
        optimizer.zero_grad(set_to_none=True)
        loss = compiled(x, y)
        loss.backward()
        optimizer.step()
        # Its value is there only when a device has done all that it was asked for.
        value = loss.item()
        synchronise()
        return (now() - start) * 1000, value

    return forward, step


class CriteoNetwork(nn.Module):
    """Dense layers of 2560, 1024 and 256 ReLU units over numbers and embedded categories (Anil et al. 2018)."""

    def __init__(self, numeric, categorical, buckets, size, classes):
        super().__init__()
        self.embedding = nn.Embedding(categorical * buckets, size)
        self.register_buffer("starts", torch.arange(categorical) * buckets)
        widths = [numeric + categorical * size, 2560, 1024, 256]
        layers = [part for a, b in zip(widths, widths[1:]) for part in (nn.Linear(a, b), nn.ReLU())]
        self.layers = nn.Sequential(*layers, nn.Linear(256, classes))

    def forward(self, inputs):
        numeric, categories = inputs
        embedded = self.embedding(categories + self.starts).flatten(1)
        return self.layers(torch.cat([numeric, embedded], 1))


def criteo_dnn(sizes):
    names = ("numericColumns", "categoricalColumns", "buckets", "embeddingSize", "classes")
    numeric, categorical, buckets, size, classes = (sizes[name] for name in names)
    B = sizes["B"]
    model = CriteoNetwork(numeric, categorical, buckets, size, classes)
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.001)
    return supervised(
        model,
        optimizer,
        F.cross_entropy,
        lambda: (
            (torch.randn(B, numeric), torch.randint(buckets, (B, categorical))),
            torch.randint(classes, (B,)),
        ),
    )


class Block(nn.Module):
    """A residual block (He et al. 2016), basic or bottleneck."""

    def __init__(self, inputs, width, outputs, stride):
        super().__init__()
        if outputs == width:
            kernels = [(inputs, width, 3, stride), (width, width, 3, 1)]
        else:
            kernels = [(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)]
        parts = []
        for a, b, size, step in kernels:
            parts += [nn.Conv2d(a, b, size, step, size // 2, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        self.body = nn.Sequential(*parts[:-1])
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x))


def resnet(sizes, blocks, expansion):
    """SGD with momentum; `large` begins with a 7×7 convolution and a pooling, else with 3×3 alone."""
    S, B, C = sizes["S"], sizes["B"], sizes["C"]
    size, stride = (7, 2) if sizes["large"] else (3, 1)
    parts = [nn.Conv2d(3, 64, size, stride, size // 2, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    if sizes["large"]:
        parts.append(nn.MaxPool2d(3, 2, 1))
    channels = 64
    for stage, count in enumerate(blocks):
        width = 64 * 2**stage
        for index in range(count):
            parts.append(Block(channels, width, width * expansion, 2 if stage > 0 and index == 0 else 1))
            channels = width * expansion
    model = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, C))
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return supervised(
        model,
        optimizer,
        F.cross_entropy,
        lambda: (
            torch.randn(B, 3, S, S).to(memory_format=torch.channels_last),
            torch.randint(C, (B,)),
        ),
    )


class Transformer(nn.Module):
    """A decoder with layer norm before each part (Radford et al. 2019)."""

    def __init__(self, V, D, heads, layers, T):
        super().__init__()
        self.embedding = nn.Embedding(V, D)
        self.positions = nn.Parameter(torch.zeros(T, D))
        self.heads = heads
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    "norm1": nn.LayerNorm(D),
                    "qkv": nn.Linear(D, 3 * D),
                    "out": nn.Linear(D, D),
                    "norm2": nn.LayerNorm(D),
                    "up": nn.Linear(D, 4 * D),
                    "down": nn.Linear(4 * D, D),
                }
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(D)
        self.output = nn.Linear(D, V, bias=False)

    def forward(self, tokens):
        x = self.embedding(tokens) + self.positions
        B, T, D = x.shape
        for layer in self.layers:
            q, k, v = (
                part.view(B, T, self.heads, D // self.heads).transpose(1, 2)
                for part in layer["qkv"](layer["norm1"](x)).chunk(3, 2)
            )
            attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + layer["out"](attended.transpose(1, 2).reshape(B, T, D))
            x = x + layer["down"](F.gelu(layer["up"](layer["norm2"](x)), approximate="none"))
        return self.output(self.norm(x)).flatten(0, 1)


def transformer(sizes):
    V, D, B, T, heads, layers = (sizes[name] for name in ("V", "D", "B", "T", "heads", "layers"))
    model = Transformer(V, D, heads, layers, T)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return supervised(
        model,
        optimizer,
        F.cross_entropy,
        lambda: (torch.randint(V, (B, T)), torch.randint(V, (B * T,))),
    )


CASES = {
    "dnn": criteo_dnn,
    "resnet-18": lambda sizes: resnet(sizes, [2, 2, 2, 2], 1),
    "resnet-50": lambda sizes: resnet(sizes, [3, 4, 6, 3], 4),
    "transformer": transformer,
    "lm": lambda sizes: language_model(sizes, layer_norm=True),
    # For reference: the fused operator, without the layer norm that our model has.
    "lm-plain": lambda sizes: language_model(sizes, layer_norm=False),
}


def main():
    global now
    case = json.loads(sys.stdin.readline())
    if case.get("processorTime"):
        now = time.process_time
    torch.manual_seed(1)
    torch.set_num_threads(case["threads"])
    torch.set_num_interop_threads(1)
    start = time.perf_counter()
    forward, step = CASES[case["model"]](case["sizes"])
    if case["mode"] == "compile":
        forward = torch.compile(forward)
        step(forward)
    prepare_ms = (time.perf_counter() - start) * 1000
    print(json.dumps({"ready": True, "version": torch.__version__, "prepareMs": prepare_ms}), flush=True)
    for _ in sys.stdin:
        ms, loss = step(forward)
        print(json.dumps({"ms": ms, "loss": loss}), flush=True)


main()
