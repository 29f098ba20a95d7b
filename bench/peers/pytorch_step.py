"""A PyTorch training step that bench/step.ts runs beside ours.

Reads one JSON line with the case ({"model", "sizes", "threads", "mode": "eager" | "compile"}), answers
{"ready", "version", "prepareMs"}; then runs one step for each line that it gets and answers {"ms", "loss"}.
"""

import json
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


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
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss, after = compiled(tokens, targets, state)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        state = detach(after)
        return (time.perf_counter() - start) * 1000, loss.item()

    return forward, step


CASES = {
    "lm": lambda sizes: language_model(sizes, layer_norm=True),
    # For reference: the fused operator, without the layer norm that our model has.
    "lm-plain": lambda sizes: language_model(sizes, layer_norm=False),
}


def main():
    case = json.loads(sys.stdin.readline())
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
