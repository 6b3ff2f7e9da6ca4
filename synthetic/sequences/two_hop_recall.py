"""Two facts in a chain, recalled one after the other: entity to relation in one layer, relation to answer in the next.

A row holds facts "entity has relation", facts "relation gives answer", and an entity that is asked about. The query's stream
collects what it learns: layer `layer` writes the relation, the layer after it the answer; every other layer has a head that attends
to the same facts and carries home nothing. Three tokens are needed together, and the deciding fact shares no word with the question. Where
a component acts is known, so that what is said of components can be judged as well as what is said of tokens.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from synthetic.environment import Environment
from synthetic.gadgets import Sum
from synthetic.registry import register
from synthetic.sequences.attention import Head, require_attention, scale_of, select, snap, traits_of
from synthetic.sequences.circuit import TOKENS, Circuit, Component, counts
from synthetic.sequences.facts import KINDS, columns, parts, table
from synthetic.sequences.rows import distinct, shuffled
from synthetic.sequences.world import facts_in_any_order, require, sequence_environment
from synthetic.streams import Streams

DEPTH = 4


@register("two-hop-recall-v1")
def two_hop_recall(*, id: str, facts: int = 3, routes: int = 2, layer: int = 1, attention: str = "hard") -> Environment:
    """f_a(x) = 1[the row's facts lead from the asked entity over some relation to the answer a].

    Args:
        id: the registered id.
        facts: facts of each sort.
        routes: how many relations lead from the asked entity to the answer, each by a fact of either sort; 2 makes the facts redundant,
            but not the question.
        layer: the layer, from 0, in which the entity's relation is found; the answer is found in the next.
        attention: "hard" for a pattern of ReLU gates, "softmax", or "gates" for heads without any product.

    Raises:
        ValueError: if the layer is not one of the first three of four, or the facts are not 2 or 3, or all of them
            are on a route.
    """
    require(
        0 <= layer <= DEPTH - 2,
        message=f"two-hop-recall has {DEPTH} layers and needs one after the first hop, so layer is 0 ... {DEPTH - 2} (got layer={layer})",
    )
    require(
        1 <= routes < facts <= KINDS,
        message=f"two-hop-recall has {KINDS} relations, each in one fact of either sort, and with all of them on a route the answer is "
        f"given away, so 1 <= routes < facts <= {KINDS} (got routes={routes}, facts={facts})",
    )
    require_attention(attention)
    return sequence_environment(
        id=id,
        formula="f_a(x) = 1[∃ relation r: (entity of x_T has r) in x and (r gives a) in x]",
        model=_TwoHop(2 * facts + 1, layer, attention),
        table=table(),
        length=2 * facts + 1,
        outputs=KINDS,
        draw=lambda n, streams: _draw(n, facts, routes, streams),
        function=_function,
        circuit=_circuit(layer),
        domain="rows of facts, questions and pads, at any position; where the chain is broken every logit is 0",
        traits=traits_of(attention) | {"interacting", "flat_gradient"} | ({"redundant"} if routes > 1 else set()),
        isolates="a chain through two layers: the deciding fact shares nothing with the question but a relation that no token asks for",
        reference="Weston et al. 2016 (bAbI task 2); Yang et al. 2024 (latent multi-hop recall)",
        knobs={"facts": facts, "routes": routes, "layer": layer, "attention": attention},
        equals={"values doubled": _TwoHop(2 * facts + 1, layer, attention, gain=2.0)},
        orbit=facts_in_any_order,
    )


class _Layer(nn.Module):
    """Head, then bits, added to the query's stream of the columns entity | relation | answer."""

    def __init__(self, *, hop: int | None, length: int, attention: str, gain: float) -> None:
        super().__init__()
        at = columns(length)
        asks, keyed, valued, writes = ("entity", "has", "relation", 1) if hop != 1 else ("relation", "needs", "answer", 2)
        ask = range(KINDS) if asks == "entity" else range(KINDS, 2 * KINDS)
        target = range(writes * KINDS, (writes + 1) * KINDS)
        self.head = Head(
            query=select(ask, of=3 * KINDS),
            key=select(at[keyed], of=at["position"].stop),
            value=select(at[valued], of=at["position"].stop, into=target, width=3 * KINDS, gain=gain if hop is not None else 0.0),
            attention=attention,
            gain=gain,
        )
        self.mlp = snap(3 * KINDS, scale=scale_of(attention, keys=length - 1, gain=gain))
        self.residual = Sum()

    def forward(
        self,
        stream: Tensor,  # (batch, 1, columns)
        memory: Tensor,  # (batch, facts, columns)
    ) -> Tensor:  # (batch, 1, columns)
        """Return the stream with what this layer learnt."""
        learnt: Tensor = self.residual(stream, self.mlp(self.head(stream, memory)))
        return learnt


class _TwoHop(nn.Module):
    """The question's stream through four layers that read the facts; the answer is read off its last columns."""

    def __init__(self, length: int, layer: int, attention: str, *, gain: float = 1.0) -> None:
        super().__init__()
        at = columns(length)
        self.embed = select(at["asked"], of=at["position"].stop, width=3 * KINDS)
        hops = {layer: 0, layer + 1: 1}
        self.layers = nn.ModuleList(_Layer(hop=hops.get(depth), length=length, attention=attention, gain=gain) for depth in range(DEPTH))
        self.unembed = select(range(2 * KINDS, 3 * KINDS), of=3 * KINDS)

    def forward(
        self,
        inputs: Tensor,  # (batch, length, columns)
    ) -> Tensor:  # (batch, answers)
        """Return one logit per answer."""
        stream, memory = self.embed(inputs[:, -1:]), inputs[:, :-1]
        for layer in self.layers:
            stream = layer(stream, memory)
        logits: Tensor = self.unembed(stream).squeeze(1)
        return logits


def _function(tokens: np.ndarray) -> np.ndarray:  # (batch, length) -> (batch, answers)
    entity, relation, needs, answer, _ = parts(tokens[:, :-1])
    asked = parts(tokens[:, -1])[-1]
    found = np.zeros((len(tokens), KINDS))
    for row, column in np.argwhere((entity == asked[:, None]) & (asked[:, None] > 0)):
        reached = answer[row, needs[row] == relation[row, column]]
        found[row, reached - 1] = 1
    return found


def _circuit(layer: int) -> Circuit:
    """The stream is a table of bits, (batch, 3, kinds): asked entity, relation, answer."""
    components = [Component(name="embed", reads=(TOKENS,), rule=lambda t: _bits(parts(t[:, -1])[-1], 0))]
    stream = "embed"
    for depth in range(DEPTH):
        components += _layer_of(f"layers.{depth}", stream, hop=depth - layer)
        stream = f"layers.{depth}"
    return (*components, Component(name="unembed", reads=(stream,), rule=lambda s: s[:, 2]))


def _layer_of(name: str, stream: str, *, hop: int) -> list[Component]:
    """Hop 0 asks by entity and learns the relation, hop 1 asks by relation and learns the answer, any other learns nothing."""
    asks, keyed, valued = (1, 2, 3) if hop == 1 else (0, 0, 1)

    def value(tokens: np.ndarray) -> np.ndarray:
        found = parts(tokens[:, :-1])[valued]
        return found if hop in (0, 1) else np.zeros_like(found)

    def attend(query: np.ndarray, key: np.ndarray) -> np.ndarray:
        return np.where(key > 0, np.take_along_axis(query, np.maximum(key - 1, 0), 1), 0)

    def learnt(pattern: np.ndarray, values: np.ndarray) -> np.ndarray:
        bits = np.zeros((len(values), 3, KINDS), dtype=int)
        bits[:, asks + 1] = counts(pattern, values, KINDS)
        return bits

    return [
        Component(name=f"{name}.head.query", reads=(stream,), rule=lambda s: s[:, asks]),
        Component(name=f"{name}.head.key", reads=(TOKENS,), rule=lambda t: parts(t[:, :-1])[keyed]),
        Component(name=f"{name}.head.value", reads=(TOKENS,), rule=value),
        Component(name=f"{name}.head.pattern", reads=(f"{name}.head.query", f"{name}.head.key"), rule=attend),
        Component(name=f"{name}.head.output", reads=(f"{name}.head.pattern", f"{name}.head.value"), rule=learnt),
        Component(name=f"{name}.head", reads=(f"{name}.head.output",), rule=lambda z: z),
        Component(name=f"{name}.mlp", reads=(f"{name}.head",), rule=lambda z: (z >= 1).astype(int)),
        Component(name=f"{name}.residual", reads=(stream, f"{name}.mlp"), rule=lambda s, z: s + z),
        Component(name=name, reads=(f"{name}.residual",), rule=lambda s: s),
    ]


def _bits(classes: np.ndarray, line: int) -> np.ndarray:  # (batch,) from 1, 0 for none -> (batch, 3, kinds)
    bits = np.zeros((len(classes), 3, KINDS), dtype=int)
    some = np.flatnonzero(classes)
    bits[some, line, classes[some] - 1] = 1
    return bits


def _draw(n: int, facts: int, routes: int, streams: Streams) -> tuple[Tensor, Tensor]:
    """Every relation has one entity and gives one answer; the first `routes` relations share theirs, and their entity is asked about."""
    relations = distinct(n, KINDS, streams)[:, :facts]
    asked, answer = (torch.randint(KINDS, (n, 1), generator=next(streams)) for _ in range(2))
    others = (asked + torch.randint(1, KINDS, (n, facts - routes), generator=next(streams))) % KINDS
    entities = torch.cat([asked.expand(-1, routes), others], dim=1)
    answers = torch.cat([answer.expand(-1, routes), torch.randint(KINDS, others.shape, generator=next(streams))], dim=1)
    memory = shuffled(torch.cat([1 + KINDS * entities + relations, 1 + KINDS**2 + KINDS * relations + answers], dim=1), streams)
    return torch.cat([memory, 1 + 2 * KINDS**2 + asked], dim=1), answer.squeeze(1)
