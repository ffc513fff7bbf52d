"""AdamW on the rows of an embedding table whose tokens occur, with state for those rows alone.

The gradient of a table is zero but for the rows of a step's tokens; dense AdamW makes it whole all the same, and two
moments as large as the table. Here gradients are torch's sparse ones, and a row gets its moments when its token first
occurs: XLM-R has 250,002 rows, of which an English train set meets a small part.

What a row gets is AdamW over the steps in which its token occurs, and nothing in the others: no moment fades, no
weight decays, and the bias correction counts the row's own steps. A row that occurs in every step is trained as by
dense AdamW; `torch.optim.SparseAdam` differs in counting everybody's steps, which makes first steps of late rows
three times as long. Rows that never occur keep their bits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from adapter_stilts.training.rounding import rounded_at_random

# Room for rows still to come: a part of those that are there.
_SPARE, _LEAST = 4, 1024


class WithSparseRows(torch.optim.Optimizer):
    """An optimizer beside which some embedding tables are trained by rows.

    Args:
        rest: trains everything else.
        tables: weights of ``nn.Embedding(sparse=True)``; in fp32, or in bf16, whose updates are rounded at random.
        arguments: of AdamW: lr, betas, eps, weight_decay.
    """

    def __init__(self, rest: torch.optim.Optimizer, tables: list[nn.Parameter], **arguments: Any) -> None:
        super().__init__(tables, arguments)
        self._rest, self._tables = rest, tables
        self._own = self.param_groups[0]
        self._moments = [_Moments.empty(table) for table in tables]
        self._gathered: list[tuple[Tensor, Tensor] | None] = [None] * len(tables)
        self._join()

    def _join(self) -> None:
        # The schedule and the scaler see one optimizer.
        self.param_groups = [*self._rest.param_groups, self._own]

    def gather(self) -> list[Tensor]:
        """The tables' gradients as dense tensors' own, ``.grad`` (rows that occur, width), in fp32: a token that occurs
        a hundred times has a sum of as many parts. They are what `step` takes, scaled by whoever clips."""
        holders = []
        for index, table in enumerate(self._tables):
            if table.grad is not None:
                sparse = table.grad
                table.grad = None
                whole = torch.sparse_coo_tensor(
                    sparse._indices(), sparse._values().float(), sparse.shape, check_invariants=False
                ).coalesce()
                self._gathered[index] = (whole.indices()[0], whole.values())
            found = self._gathered[index]
            if found is not None:
                holder = found[1].detach()
                holder.grad = found[1]
                holders.append(holder)
        return holders

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self._rest.step(closure)
        self.gather()
        for index, (table, moments) in enumerate(zip(self._tables, self._moments, strict=True)):
            found = self._gathered[index]
            if found is not None:
                self._gathered[index] = None
                moments.step(table, *found, index, self._own)

    def zero_grad(self, set_to_none: bool = True) -> None:
        self._gathered = [None] * len(self._tables)
        super().zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """The rest's, with a group more; a table's state holds the rows that have occurred."""
        state = self._rest.state_dict()
        first = sum(len(group["params"]) for group in state["param_groups"])
        numbers = list(range(first, first + len(self._tables)))
        own = {key: value for key, value in self._own.items() if key != "params"}
        return {
            "state": {
                **state["state"],
                **{n: moments.state() for n, moments in zip(numbers, self._moments, strict=True)},
            },
            "param_groups": [*state["param_groups"], {**own, "params": numbers}],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        *groups, own = state_dict["param_groups"]
        rest = {n: value for n, value in state_dict["state"].items() if n not in own["params"]}
        self._rest.load_state_dict({"state": rest, "param_groups": groups})
        self._moments = [
            _Moments.of(table, state_dict["state"][n])
            for table, n in zip(self._tables, own["params"], strict=True)
        ]
        self._own = {**own, "params": self._tables}
        self._join()


@dataclass
class _Moments:
    """Moments of the rows of a table that have occurred, each in a slot.

    Args:
        slots: of each row of the table, -1 where it has none. (rows of the table,)
        rows: of each slot. (slots,)
        steps: updates of each slot. (slots,)
        first, second: AdamW's moments. (slots and spare ones, width)
        updates: of the table.
    """

    slots: Tensor
    rows: Tensor
    steps: Tensor
    first: Tensor
    second: Tensor
    updates: int

    @classmethod
    def empty(cls, table: Tensor) -> _Moments:
        none = torch.empty(0, dtype=torch.int64, device=table.device)
        slots = torch.full((len(table),), -1, dtype=torch.int32, device=table.device)
        values = torch.empty(0, table.shape[1], device=table.device)
        return cls(slots, none, none.clone(), values, values.clone(), 0)

    @classmethod
    def of(cls, table: Tensor, state: dict[str, Any]) -> _Moments:
        made = cls.empty(table)
        for name in ("rows", "steps", "first", "second"):
            setattr(made, name, state[name].to(table.device))
        made.updates = int(state["updates"])
        made.slots[made.rows] = torch.arange(len(made.rows), dtype=torch.int32, device=table.device)
        return made

    def state(self) -> dict[str, Any]:
        used = len(self.rows)
        return {
            "rows": self.rows,
            "steps": self.steps,
            "first": self.first[:used],
            "second": self.second[:used],
            "updates": self.updates,
        }

    def step(self, table: nn.Parameter, rows: Tensor, gradient: Tensor, index: int, group: Any) -> None:
        (decay_first, decay_second), rate = group["betas"], group["lr"]
        self._make_room(rows)
        slots = self.slots[rows].long()
        self.steps[slots] += 1
        self.updates += 1
        steps = self.steps[slots].double()[:, None]
        first = self.first[slots].lerp_(gradient, 1 - decay_first)
        self.first[slots] = first
        second = self.second[slots].mul_(decay_second).addcmul_(gradient, gradient, value=1 - decay_second)
        self.second[slots] = second
        second.sqrt_().div_((1 - decay_second**steps).sqrt_().float()).add_(group["eps"])
        first.div_((1 - decay_first**steps).float())
        exact = (
            table[rows].float().mul_(1 - rate * group["weight_decay"]).addcdiv_(first, second, value=-rate)
        )
        if table.dtype == torch.bfloat16:
            generator = torch.Generator(exact.device)
            generator.manual_seed(self.updates * 1_000_003 + index)
            exact = rounded_at_random(exact, generator)
        table[rows] = exact.to(table.dtype)

    def _make_room(self, rows: Tensor) -> None:
        new = rows[self.slots[rows] < 0]
        if len(new) == 0:
            return
        used = len(self.rows)
        wanted = used + len(new)
        self.slots[new] = torch.arange(used, wanted, dtype=torch.int32, device=new.device)
        self.rows = torch.cat([self.rows, new])
        self.steps = torch.cat([self.steps, torch.zeros_like(new)])
        for name in ("first", "second"):
            held = getattr(self, name)
            if wanted > len(held):
                room = min(len(self.slots), wanted + max(_LEAST, wanted // _SPARE))
                # Memory that nothing is written to is not resident.
                wider = torch.empty(room, held.shape[1], device=held.device)
                wider[:used] = held[:used]
                setattr(self, name, wider)
                held = wider
            held[used:wanted] = 0


def clipped(optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    """Tensors that gradient clipping works on: parameters, with the rows that occur in the place of whole tables."""
    found: list[Tensor] = list(parameters)
    if isinstance(optimizer, WithSparseRows):
        found += optimizer.gather()
    return found


def sparse_tables(model: nn.Module) -> list[nn.Parameter]:
    """Weights of embeddings whose gradients are sparse and which are trained."""
    return [
        module.weight  # type: ignore[misc]
        for module in model.modules()
        if isinstance(module, nn.Embedding) and module.sparse and module.weight.requires_grad
    ]
