"""Products of bf16 matrices on a processor that has no arithmetic for them, at the speed of fp32.

There torch multiplies element by element, 8 to 80 times as slowly. Here the factors are converted
to fp32, which is exact, multiplied, and the result is rounded to bf16: what a processor with bf16
arithmetic computes, but for the order of the sums.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

aten = torch.ops.aten
PRODUCTS = (
    aten.mm.default,
    aten.addmm.default,
    aten.bmm.default,
    aten.baddbmm.default,
    aten.convolution.default,
    aten._scaled_dot_product_flash_attention_for_cpu.default,
    aten._scaled_dot_product_flash_attention_for_cpu_backward.default,
)


def is_native() -> bool:
    """Whether this processor multiplies bf16 itself."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class ProductsInFp32(TorchDispatchMode):
    """While it is active, products of bf16 matrices on the CPU are computed in fp32."""

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        kwargs = dict(kwargs or {})
        first = next((one for one in args if isinstance(one, Tensor)), None)
        if func not in PRODUCTS or first is None or not _is_bf16(first):
            return func(*args, **kwargs)
        args, kwargs = tree_map_only(Tensor, _to_fp32, (tuple(args), kwargs))
        result = func(*args, **kwargs)
        if func == aten._scaled_dot_product_flash_attention_for_cpu.default:
            return result[0].bfloat16(), *result[1:]  # the sums of the softmax stay fp32
        return tree_map_only(Tensor, Tensor.bfloat16, result)


def _to_fp32(tensor: Tensor) -> Tensor:
    return tensor.float() if _is_bf16(tensor) else tensor


def _is_bf16(tensor: Tensor) -> bool:
    return tensor.dtype == torch.bfloat16 and tensor.device.type == "cpu"
