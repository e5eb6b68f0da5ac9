"""The configurations that every attack is run in, by the layers that are missing."""

from rlm_rs.sandbox.layers import LAYERS

CONFIGURATIONS: dict[str, tuple[str, ...]] = {
    "all layers": (),
    "seccomp only": tuple(LAYERS),
    "without user namespaces": ("user_namespace",),
}
