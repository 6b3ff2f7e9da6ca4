"""Methods for sequences and sets of tokens, with what each says of itself."""

from __future__ import annotations

from attrlab.claims import holds, violates
from attrlab.method import Method
from attrlab.methods.attention import attention_rollout, raw_attention
from attrlab.methods.attention_relevance import attn_lrp
from attrlab.methods.registered.reasons import ONLY_THE_GAME, ONLY_THE_GRADIENT
from attrlab.methods.registered.theory import register
from attrlab.methods.token_patching import activation_patching, attribution_patching, relp

TOKENS = frozenset({"sequence", "set"})
_FLAT = "the slope is 0 where the layer after the head saturates"
_BIAS = "the bias of a saturated unit takes all relevance"
_UNSIGNED_AND_OF_NO_OUTPUT = (
    violates("completeness", witness="bag-of-patches-v1", because="it sums to a share of attention, whatever the output is"),
    violates("lattice_dummy", witness="decoy-head-v1", because="the decoy takes the attention, and its value is 0 (Jain, Wallace 2019)"),
    violates("output_scaling_positive", witness="lookup-v1", because="a pattern does not know by what the output is multiplied"),
)

register(
    Method(
        name="activation_patching",
        attribute=activation_patching,
        convention="removal",
        modalities=TOKENS,
        reference="Vig et al. (2020), section 3; Meng et al. (2022), section 2",
        cost="players + 1 forwards at the inputs; tokens + 3 at a layer",
        cost_class="linear",
        claims=(
            holds("completeness", given=("additive",), because="for f = Σ g_i(x_i) patching i costs g_i(x_i) - g_i(x'_i)"),
            violates("completeness", witness="lookup-v1", because="query and pair each carry the whole of their conjunction"),
            holds("dummy", because=ONLY_THE_GAME),
            holds("lattice_dummy", because="a null player's exchange changes no value of the game"),
            holds("implementation_invariance", because=ONLY_THE_GAME),
            holds("symmetry", because="patching i and patching j have the same effect where f is symmetric"),
        ),
    )
)

register(
    Method(
        name="attribution_patching",
        attribute=attribution_patching,
        modalities=TOKENS,
        reference="Nanda (2023); Syed, Rager, Conmy (2023), equation 2",
        cost="1 forward + 1 backward; 2 more forwards at a layer",
        cost_class="single",
        claims=(
            violates("completeness", witness="decoy-head-v1", because=_FLAT),
            violates("sensitivity_a", witness="lookup-v1", because=_FLAT),
            holds("dummy", because="∂_i f = 0 everywhere"),
            holds("implementation_invariance", because=ONLY_THE_GRADIENT),
            holds("symmetry", because="∂_i f and ∂_j f agree where f is symmetric and x_i = x_j"),
        ),
    )
)

register(
    Method(
        name="relp",
        attribute=relp,
        modalities=TOKENS,
        reference="Rezaei Jafari, Eberle, Khakzar, Nanda (2025), equation 3",
        cost="1 forward + 1 backward; 2 more forwards at a layer",
        cost_class="single",
        claims=(
            violates("completeness", witness="decoy-head-v1", because=_BIAS),
            violates("sensitivity_a", witness="lookup-v1", because=_BIAS),
        ),
    )
)

register(
    Method(
        name="attn_lrp",
        attribute=attn_lrp,
        modalities=TOKENS,
        reference="Achtibat et al. (2024), propositions 3.1 to 3.4",
        cost="1 forward + 1 backward",
        cost_class="single",
        claims=(
            violates("completeness", witness="decoy-head-v1", because=_BIAS),
            violates("sensitivity_a", witness="lookup-v1", because=_BIAS),
        ),
    )
)

register(
    Method(
        name="attention_rollout",
        attribute=attention_rollout,
        modalities=TOKENS,
        reference="Abnar, Zuidema (2020), section 3, equation 1",
        cost="1 forward",
        cost_class="single",
        claims=_UNSIGNED_AND_OF_NO_OUTPUT,
    )
)

register(
    Method(
        name="raw_attention",
        attribute=raw_attention,
        modalities=TOKENS,
        reference="Bahdanau, Cho, Bengio (2015), section 5.2.1; Jain, Wallace (2019)",
        cost="1 forward",
        cost_class="single",
        claims=_UNSIGNED_AND_OF_NO_OUTPUT,
    )
)
